import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { test } from 'tap'
import { XnordError } from '../../src/errors.ts'
import { Dispatcher, type DispatcherOptions } from '../../src/serving/dispatcher.ts'
import { Holders } from '../../src/serving/holders.ts'
import type {
  DecodedReply,
  DecodeMessage,
  RowsReply,
  RunMessage,
  UnknownModelReply,
} from '../../src/serving/messages.ts'
import type { LoadedModel } from '../../src/serving/model.ts'
import type { PredictRequest, Row, RowAnswer } from '../../src/serving/types.ts'
import { encodeGreyPng } from '../images/png.ts'
import { loadTiny, recordingLog, recordingObserver } from './tiny.ts'

const rowBytes = 13 * 11 * 3

/** A row that the pool below answers with its number as logit. */
function numbered(number: number): Row {
  return { kind: 'pixels', bytes: new Uint8Array(rowBytes).fill(number & 255).fill(number >> 8, 0, 1) }
}

const largePng = encodeGreyPng(new Uint8Array(300 * 300), 300, 300)
const large: Row = { kind: 'file', bytes: largePng }
const broken: Row = { kind: 'file', bytes: new Uint8Array([1]) }

interface Sent<Message, Reply> {
  readonly message: Message
  readonly reply: (reply: Reply) => void
  readonly fail: (error: Error) => void
}

/** What a pool is to a dispatcher, answered by the test. */
class HandPool {
  readonly workers: number
  alive = true
  readonly runs: Sent<RunMessage, RowsReply | UnknownModelReply>[] = []
  readonly decodes: Sent<DecodeMessage, DecodedReply>[] = []

  constructor(workers: number) {
    this.workers = workers
  }

  run(message: RunMessage): Promise<RowsReply | UnknownModelReply> {
    return new Promise((reply, fail) => this.runs.push({ message, reply, fail }))
  }

  decode(message: DecodeMessage): Promise<DecodedReply> {
    return new Promise((reply, fail) => this.decodes.push({ message, reply, fail }))
  }

  /** Answers a batch: each row's logit is its number. */
  answer(index: number): void {
    const { message, reply } = this.runs[index]
    reply(answersTo(message))
  }
}

function answersTo({ bytes, rows, baseline }: RunMessage): RowsReply {
  return {
    kind: 'rows',
    rows: rows.map(({ offset }) => {
      const [high, low] = new Uint8Array(bytes, offset, 2)
      const logits = Float32Array.of(high * 256 + low)
      const uncertainty = { entropy: 0, mutualInformation: 0, agreement: 1, members: 1 }
      const twin = { logits, probabilities: Float64Array.of(1), index: 0 }
      return {
        ok: true,
        decode: 0.5,
        prediction: { logits, probabilities: Float64Array.of(1), index: 0, uncertainty },
        baseline: baseline ? twin : null,
      }
    }),
    compute: 8,
    baseline: baseline ? 4 : null,
  }
}

const turn = () => new Promise(setImmediate)

function logits(answers: readonly RowAnswer[]): readonly (number | string)[] {
  return answers.map(answer => (answer.ok ? answer.prediction.logits[0] : answer.error.code))
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}

/** What a promise came to, so that nothing is left unhandled while a test looks elsewhere. */
function outcome(answers: Promise<readonly RowAnswer[]>): Promise<readonly (number | string)[]> {
  return answers.then(logits, (thrown: unknown) => [(thrown as XnordError).code])
}

test('the dispatcher', async t => {
  const model: LoadedModel = await loadTiny(t.testdir({}), 1)
  const { maxRows } = model.served

  function harness({ workers = 1, queueRows = 1000 }: { workers?: number; queueRows?: number } = {}) {
    const pool = new HandPool(workers)
    const { observer, observed } = recordingObserver()
    const { log, lines } = recordingLog()
    const options: DispatcherOptions = {
      pool,
      holders: new Holders(),
      queueRows,
      maxPixels: 1_000_000,
      observer,
      log,
    }
    const dispatcher = new Dispatcher(options)
    const predict = (rows: readonly Row[], change: Partial<PredictRequest> = {}) =>
      dispatcher.predict(model, { model: model.served, rows, members: 1, baseline: false, ...change })
    return { pool, dispatcher, predict, observed, lines }
  }

  await t.test('answers in the order of the rows, however many batches they take', async t => {
    const { pool, predict, observed } = harness()
    const numbers = range(0, 2 * maxRows + 5)
    const answers = predict(numbers.map(numbered))
    for (let batch = 0; batch < 3; batch++) {
      pool.answer(batch)
      await turn()
    }
    t.same(logits(await answers), numbers)
    t.same(observed.batches, [
      { rows: maxRows, reason: 'full' },
      { rows: maxRows, reason: 'full' },
      { rows: 5, reason: 'worker' },
    ])
    t.equal(observed.rows.length, numbers.length)
  })

  await t.test('sends rows of several requests together, and brings each its own answer', async t => {
    const { pool, predict } = harness()
    const first = predict([numbered(1)])
    const others = [predict([numbered(2), numbered(3)]), predict([numbered(4)])]
    pool.answer(0)
    await turn()
    t.equal(pool.runs[1].message.rows.length, 3)
    pool.answer(1)
    t.same((await Promise.all([first, ...others])).map(logits), [[1], [2, 3], [4]])
  })

  await t.test('mixes neither numbers of members nor rows with and without baseline', async t => {
    const { pool, predict } = harness()
    const answers = [
      predict([numbered(1)]),
      predict([numbered(2)], { members: 2 }),
      predict([numbered(3)], { baseline: true }),
      predict([numbered(4)], { members: 2 }),
    ]
    for (let batch = 0; batch < 3; batch++) {
      pool.answer(batch)
      await turn()
    }
    await Promise.all(answers)
    t.same(
      pool.runs.map(({ message: { members, baseline, rows } }) => [members, baseline, rows.length]),
      [
        [1, false, 1],
        [2, false, 2],
        [1, true, 1],
      ],
    )
  })

  await t.test('shares the times of a batch among its rows', async t => {
    const { pool, predict } = harness()
    const blocked = predict([numbered(0)])
    const answers = predict([numbered(1), numbered(2)], { baseline: true })
    pool.answer(0)
    await turn()
    pool.answer(1)
    for (const answer of await answers) {
      if (!answer.ok) throw new Error(answer.error.detail)
      t.match(answer.times, { compute: 4, baseline: 2 })
      t.ok(answer.times.queue > 0)
      t.ok(answer.times.decode >= 0.5)
    }
    await blocked
  })

  await t.test('answers no rows with no answers', async t => {
    t.same(await harness().predict([]), [])
  })

  await t.test('leaves the bytes of a row alone, slices of a shared slab too', async t => {
    const { pool, predict } = harness()
    const slab = new Uint8Array(3 * rowBytes)
    slab.set(numbered(7).bytes, rowBytes)
    const answers = predict([{ kind: 'pixels', bytes: slab.subarray(rowBytes, 2 * rowBytes) }])
    t.equal(pool.runs[0].message.bytes.byteLength, rowBytes)
    pool.answer(0)
    t.same(logits(await answers), [7])
    structuredClone(null, { transfer: [pool.runs[0].message.bytes] })
    t.equal(slab[rowBytes + 1], 7)
  })

  await t.test('fails a hopeless row in its place, without a worker', async t => {
    const { pool, predict, observed } = harness()
    const short: Row = { kind: 'pixels', bytes: new Uint8Array(rowBytes - 1) }
    const answers = predict([broken, numbered(5), short])
    t.equal(pool.runs[0].message.rows.length, 1)
    pool.answer(0)
    t.same(logits(await answers), ['IMAGE_FORMAT_UNKNOWN', 5, 'PIXELS_LENGTH'])
    t.same(observed.failed, ['IMAGE_FORMAT_UNKNOWN', 'PIXELS_LENGTH'])
    t.equal(observed.rows.filter(({ compute }) => compute === null).length, 2)
  })

  await t.test('answers a request of hopeless rows at once, even where the queue is full', async t => {
    const { pool, predict, dispatcher } = harness({ queueRows: 1 })
    const inFlight = predict([numbered(1)])
    const waiting = predict([numbered(2)])
    t.equal(dispatcher.queuedRows, 1)
    t.same(logits(await predict([broken, broken])), ['IMAGE_FORMAT_UNKNOWN', 'IMAGE_FORMAT_UNKNOWN'])
    pool.answer(0)
    await turn()
    pool.answer(1)
    await Promise.all([inFlight, waiting])
  })

  await t.test('turns a request away as a whole when the queue is full', async t => {
    const { pool, predict, dispatcher, observed } = harness({ queueRows: 4 })
    const answers = [predict([numbered(1)]), predict([numbered(2)], { members: 3 })]
    t.equal(dispatcher.queuedRows, 3)
    t.equal(dispatcher.inFlightRows, 1)
    await t.rejects(predict([numbered(3)], { baseline: true }), { code: 'QUEUE_FULL', retryAfter: 1 })
    await t.rejects(predict(range(0, 5).map(numbered)), { code: 'REQUEST_TOO_LARGE_FOR_QUEUE' })
    t.same(observed.rejected, [
      ['QUEUE_FULL', 1],
      ['REQUEST_TOO_LARGE_FOR_QUEUE', 5],
    ])
    pool.answer(0)
    await turn()
    pool.answer(1)
    t.same((await Promise.all(answers)).map(logits), [[1], [2]])
    t.equal(dispatcher.queuedRows + dispatcher.inFlightRows, 0)
  })

  await t.test('drops a row whose deadline passes while it waits, and frees its place', async t => {
    const { pool, predict, dispatcher, observed } = harness({ queueRows: 1 })
    const inFlight = predict([numbered(1)])
    await t.rejects(predict([numbered(2)], { deadline: performance.now() + 5 }), {
      code: 'DEADLINE_EXCEEDED',
    })
    t.equal(dispatcher.queuedRows, 0)
    t.same(observed.rejected, [['DEADLINE_EXCEEDED', 1]])
    pool.answer(0)
    await inFlight
    await turn()
    t.equal(pool.runs.length, 1)
  })

  await t.test('takes no row whose deadline has passed', async t => {
    const { pool, predict, observed } = harness()
    await t.rejects(predict([numbered(2)], { deadline: performance.now() }), {
      code: 'DEADLINE_EXCEEDED',
      retryAfter: 1,
    })
    t.same(observed.rejected, [['DEADLINE_EXCEEDED', 1]])
    t.equal(pool.runs.length, 0)
  })

  await t.test('does not take a deadline in the far future for one that has passed', async t => {
    const { pool, predict } = harness()
    const answers = [2 ** 40, Number.POSITIVE_INFINITY].map(deadline => predict([numbered(1)], { deadline }))
    await sleep(5)
    pool.answer(0)
    await turn()
    pool.answer(1)
    t.same((await Promise.all(answers)).map(logits), [[1], [1]])
  })

  await t.test(
    'answers at the deadline though a row is being computed, and ignores what comes after',
    async t => {
      const { pool, predict, observed } = harness()
      await t.rejects(predict([numbered(1)], { deadline: performance.now() + 5 }), {
        code: 'DEADLINE_EXCEEDED',
      })
      t.same(observed.rejected, [])
      pool.answer(0)
      await turn()
      t.same(observed.rows, [])
      t.same(observed.batches, [{ rows: 1, reason: 'worker' }])
    },
  )

  await t.test('drops what waits when the client goes, and frees its place at once', async t => {
    const { pool, predict, dispatcher, observed } = harness()
    const inFlight = predict([numbered(1)])
    const client = new AbortController()
    const gone = predict([numbered(2), numbered(3)], { signal: client.signal })
    const patient = predict([numbered(4)])
    client.abort()
    t.equal(dispatcher.queuedRows, 1)
    await t.rejects(gone, { code: 'CLIENT_GONE' })
    t.same(observed.rejected, [['CLIENT_GONE', 2]])
    pool.answer(0)
    await turn()
    pool.answer(1)
    t.same((await Promise.all([inFlight, patient])).map(logits), [[1], [4]])
  })

  await t.test('takes nothing from a client that has gone already', async t => {
    const { pool, predict } = harness()
    await t.rejects(predict([numbered(1)], { signal: AbortSignal.abort() }), { code: 'CLIENT_GONE' })
    t.equal(pool.runs.length, 0)
  })

  await t.test('keeps no listener on a signal whose request has ended', async t => {
    const { pool, predict, observed } = harness()
    const client = new AbortController()
    const answers = predict([numbered(1)], { signal: client.signal })
    pool.answer(0)
    await answers
    client.abort()
    t.same(observed.rejected, [])
  })

  await t.test('has a large image decoded in a task of its own, and holds up nobody with it', async t => {
    const { pool, predict } = harness({ workers: 2 })
    const slow = predict([large, numbered(2)])
    const quick = predict([numbered(3)])
    t.equal(pool.decodes.length, 1)
    t.same(new Uint8Array(pool.decodes[0].message.bytes), new Uint8Array(largePng))
    pool.answer(0)
    await turn()
    pool.answer(1)
    t.same(logits(await quick), [3])
    pool.decodes[0].reply({ kind: 'decoded', pixels: numbered(300).bytes, decode: 20 })
    await turn()
    pool.answer(2)
    const answers = await slow
    t.same(logits(answers), [300, 2])
    t.ok(answers[0].ok && answers[0].times.decode > 20)
    t.ok(answers[1].ok && answers[1].times.decode < 20)
  })

  await t.test('has a small image in a large file decoded so, too', async t => {
    const { pool, predict } = harness()
    const bytes = Buffer.concat([encodeGreyPng(new Uint8Array(4), 2, 2), Buffer.alloc(2 ** 20)])
    const answers = outcome(predict([{ kind: 'file', bytes }]))
    t.equal(pool.decodes.length, 1)
    pool.decodes[0].fail(new XnordError('IMAGE_MALFORMED', 'It is damaged.'))
    t.same(await answers, ['IMAGE_MALFORMED'])
  })

  await t.test('fails a large image that is broken alone', async t => {
    const { pool, predict, dispatcher, observed } = harness({ workers: 2 })
    const answers = predict([large, numbered(2)])
    pool.decodes[0].fail(new XnordError('IMAGE_MALFORMED', 'It is damaged.'))
    pool.answer(0)
    t.same(logits(await answers), ['IMAGE_MALFORMED', 2])
    t.same(observed.failed, ['IMAGE_MALFORMED'])
    t.equal(dispatcher.queuedRows, 0)
  })

  await t.test('computes nothing of a client that went while its image was decoded', async t => {
    const { pool, predict, dispatcher, observed } = harness()
    const client = new AbortController()
    const gone = outcome(predict([large], { signal: client.signal }))
    client.abort()
    t.equal(dispatcher.queuedRows, 0)
    t.same(await gone, ['CLIENT_GONE'])
    pool.decodes[0].reply({ kind: 'decoded', pixels: numbered(1).bytes, decode: 1 })
    await turn()
    t.equal(pool.runs.length, 0)
    t.same(observed.rejected, [['CLIENT_GONE', 1]])
  })

  await t.test('loses with a worker only the requests that had rows in its batch', async t => {
    const { pool, predict, dispatcher, observed, lines } = harness()
    const first = outcome(predict(range(0, maxRows + 3).map(numbered)))
    const second = outcome(predict([numbered(7)]))
    pool.runs[0].fail(new XnordError('WORKER_LOST', 'The worker died.'))
    t.same(await first, ['WORKER_LOST'])
    t.same(observed.rejected, [...range(0, maxRows).map(() => ['WORKER_LOST', 1]), ['WORKER_LOST', 3]])
    await turn()
    t.equal(pool.runs[1].message.rows.length, 1)
    pool.answer(1)
    t.same(await second, [7])
    t.equal(dispatcher.queuedRows + dispatcher.inFlightRows, 0)
    t.match(lines, [{ level: 'error', message: 'a batch was lost' }])
  })

  await t.test('loses with a worker the image that it decoded', async t => {
    const { pool, predict, dispatcher, observed } = harness()
    const lost = outcome(predict([large]))
    pool.decodes[0].fail(new XnordError('WORKER_LOST', 'The worker died.'))
    t.same(await lost, ['WORKER_LOST'])
    t.same(observed.rejected, [['WORKER_LOST', 1]])
    t.equal(dispatcher.queuedRows, 0)
  })

  await t.test('gives the model to a worker that does not know it, with the rows once more', async t => {
    const { pool, predict } = harness()
    const answers = predict([numbered(9)])
    t.equal(pool.runs[0].message.spec, null)
    structuredClone(pool.runs[0].message.bytes, { transfer: [pool.runs[0].message.bytes] })
    pool.runs[0].reply({ kind: 'unknown-model' })
    await turn()
    t.equal(pool.runs[1].message.spec, model.spec)
    t.equal(pool.runs[1].message.slot, pool.runs[0].message.slot)
    pool.answer(1)
    t.same(logits(await answers), [9])
  })

  await t.test('does not give a model to a worker again and again', async t => {
    const { pool, predict, lines } = harness()
    const answers = predict([numbered(9)])
    pool.runs[0].reply({ kind: 'unknown-model' })
    await turn()
    pool.runs[1].reply({ kind: 'unknown-model' })
    t.same(logits(await answers), ['INTERNAL'])
    t.ok(lines.some(({ level }) => level === 'error'))
  })

  await t.test('fails each row of a batch that its worker could not compute', async t => {
    const { pool, predict, observed } = harness()
    const answers = predict([numbered(1), numbered(2)], { baseline: true })
    pool.runs[0].fail(new XnordError('BASELINE_INVALID', 'It is no network.'))
    t.same(logits(await answers), ['BASELINE_INVALID', 'BASELINE_INVALID'])
    t.same(observed.failed, ['BASELINE_INVALID', 'BASELINE_INVALID'])
  })

  await t.test('gives every batch at a time a slot of its own', async t => {
    const { pool, predict } = harness({ workers: 3 })
    const answers = range(0, 6).map(number => predict([numbered(number)], { members: 1 + (number % 3) }))
    const slots = () => pool.runs.map(({ message }) => message.slot)
    t.same([...slots()].sort(), [0, 1, 2])
    pool.answer(1)
    await turn()
    t.equal(slots()[3], slots()[1])
    for (const batch of [0, 2, 3]) pool.answer(batch)
    for (let batch = 4; batch < 6; batch++) {
      await turn()
      if (pool.runs.length > batch) pool.answer(batch)
    }
    t.equal((await Promise.all(answers)).length, 6)
  })

  await t.test('takes nothing where no worker is left', async t => {
    const { pool, predict, dispatcher, observed } = harness()
    t.equal(dispatcher.ready, true)
    pool.alive = false
    t.equal(dispatcher.ready, false)
    await t.rejects(predict([numbered(1)]), { code: 'NOT_READY', retryAfter: 1 })
    t.same(observed.rejected, [['NOT_READY', 1]])
  })

  await t.test('answers what it has before it ends, and takes nothing more', async t => {
    const { pool, predict, dispatcher, observed } = harness()
    const answers = [predict([numbered(1)]), predict([numbered(2)])]
    const drained = dispatcher.drain(60_000)
    t.equal(dispatcher.ready, false)
    await t.rejects(predict([numbered(3), numbered(4)]), { code: 'SHUTTING_DOWN' })
    t.same(observed.rejected, [['SHUTTING_DOWN', 2]])
    pool.answer(0)
    await turn()
    pool.answer(1)
    await drained
    t.same((await Promise.all(answers)).map(logits), [[1], [2]])
  })

  await t.test('turns away what still waits when it must end', async t => {
    const { pool, predict, dispatcher } = harness()
    const answers = [outcome(predict([numbered(1)])), outcome(predict([numbered(2)]))]
    const drained = dispatcher.drain(1)
    t.same(await Promise.all(answers), [['SHUTTING_DOWN'], ['SHUTTING_DOWN']])
    pool.answer(0)
    await drained
    t.equal(pool.runs.length, 1)
  })

  const request = fc.record({
    rows: fc.array(fc.constantFrom('pixels', 'large', 'broken'), { minLength: 1, maxLength: 6 }),
    members: fc.integer({ min: 1, max: 2 }),
    baseline: fc.boolean(),
    end: fc.constantFrom('none', 'none', 'abort', 'deadline'),
    fates: fc.array(fc.constantFrom('answer', 'answer', 'answer', 'lost', 'invalid', 'unknown'), {
      minLength: 1,
      maxLength: 4,
    }),
  })

  await t.test('answers or rejects every request exactly once, whatever happens to it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { maxLength: 15 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 40 }),
        async (list, workers, queueRows) => {
          const { pool, dispatcher, predict } = harness({ workers, queueRows })
          const fates = list.flatMap(({ fates }) => fates)
          let settled = 0
          let right = true
          const outcomes = list.map(({ rows, members, baseline, end }, index) => {
            const client = new AbortController()
            const number = 10 * index + 1
            const answers = predict(
              rows.map((kind, row) =>
                kind === 'pixels' ? numbered(number + row) : kind === 'large' ? large : broken,
              ),
              {
                members,
                baseline,
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
                    right &&= answer.prediction.logits[0] === number + row
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
              if (what === 'lost') sent.fail(new XnordError('WORKER_LOST', 'lost'))
              else if (what === 'invalid') sent.fail(new XnordError('IMAGE_MALFORMED', 'damaged'))
              else sent.reply({ kind: 'decoded', pixels: numbered(0).bytes, decode: 1 })
            }
            if (run < pool.runs.length) {
              const [index, what] = [run++, fates[fate++ % fates.length]]
              if (what === 'lost') pool.runs[index].fail(new XnordError('WORKER_LOST', 'lost'))
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
})
