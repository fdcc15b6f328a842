import fc from 'fast-check'
import { test } from 'tap'
import { XnordError } from '../../src/errors.ts'
import { broken, dispatching, large, logits, numbered, turn, workerLost } from './dispatching.ts'
import { loadTiny } from './tiny.ts'

const request = fc.record({
  rows: fc.array(fc.constantFrom('pixels', 'large', 'broken'), { minLength: 1, maxLength: 6 }),
  members: fc.integer({ min: 1, max: 2 }),
  networks: fc.constantFrom('discrete', 'baseline', 'both'),
  end: fc.constantFrom('none', 'none', 'abort', 'deadline'),
  fates: fc.array(fc.constantFrom('answer', 'answer', 'answer', 'lost', 'invalid', 'unknown'), {
    minLength: 1,
    maxLength: 4,
  }),
})

test('every request is answered or rejected exactly once, whatever happens to it', async t => {
  const model = await loadTiny(t.testdir({}), 1)
  await fc.assert(
    fc.asyncProperty(
      fc.array(request, { maxLength: 15 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 40 }),
      async (list, workers, queueRows) => {
        const { pool, dispatcher, predict } = dispatching(model, { workers, queueRows })
        const fates = list.flatMap(({ fates }) => fates)
        let settled = 0
        let right = true
        const outcomes = list.map(({ rows, members, networks, end }, index) => {
          const client = new AbortController()
          const number = 10 * index + 1
          const answers = predict(
            rows.map((kind, row) =>
              kind === 'pixels' ? numbered(number + row) : kind === 'large' ? large : broken,
            ),
            {
              members,
              networks,
              signal: client.signal,
              ...(end === 'deadline' ? { deadline: performance.now() + (index % 3) } : {}),
            },
          )
          if (end === 'abort') setTimeout(() => client.abort(), index % 3)
          right &&= dispatcher.queuedRows <= queueRows
          return answers.then(
            answers => {
              settled++
              right &&= answers.length === rows.length
              for (const [row, answer] of answers.entries()) {
                if (rows[row] === 'broken') right &&= !answer.ok
                else if (answer.ok && rows[row] === 'pixels') {
                  right &&= logits([answer])[0] === number + row
                }
              }
            },
            (thrown: unknown) => {
              settled++
              right &&= thrown instanceof XnordError
            },
          )
        })
        let [run, decode, fate] = [0, 0, 0]
        const all = Promise.all(outcomes)
        let done = false
        void all.then(() => {
          done = true
        })
        while (!done || run < pool.runs.length || decode < pool.decodes.length) {
          right &&= dispatcher.queuedRows <= queueRows
          right &&= pool.runs.length - run + pool.decodes.length - decode <= workers
          if (decode < pool.decodes.length) {
            const [sent, what] = [pool.decodes[decode++], fates[fate++ % fates.length]]
            if (what === 'lost') sent.fail(workerLost())
            else if (what === 'invalid') sent.fail(new XnordError('IMAGE_MALFORMED', 'damaged'))
            else sent.reply({ kind: 'decoded', pixels: numbered(0).bytes, decode: 1 })
          }
          if (run < pool.runs.length) {
            const [index, what] = [run++, fates[fate++ % fates.length]]
            if (what === 'lost') pool.runs[index].fail(workerLost())
            else if (what === 'invalid') pool.runs[index].fail(new XnordError('BASELINE_INVALID', 'bad'))
            else if (what === 'unknown') pool.runs[index].reply({ kind: 'unknown-model' })
            else pool.answer(index)
          }
          await turn()
        }
        await dispatcher.drain(60_000)
        return right && settled === list.length && dispatcher.queuedRows + dispatcher.inFlightRows === 0
      },
    ),
    { numRuns: 150 },
  )
})
