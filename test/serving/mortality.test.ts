import { test } from 'tap'
import { Dispatcher } from '../../src/serving/dispatcher.ts'
import { Holders } from '../../src/serving/holders.ts'
import { WorkerPool } from '../../src/serving/pool.ts'
import type { Row, RowAnswer } from '../../src/serving/types.ts'
import { deaths, lethal } from './lethal.ts'
import { backend, loadTiny, recordingLog, recordingObserver, tinyLogits, tinyRows } from './tiny.ts'

function logits(answers: readonly RowAnswer[]): readonly (readonly number[])[] {
  return answers.map(answer => {
    if (!answer.ok) throw new Error(answer.error.detail)
    return [...answer.prediction!.logits]
  })
}

const expected = tinyRows.map((_, row) => tinyLogits(row, 3))

test('a single worker that some rows kill', async t => {
  const { log, lines } = recordingLog()
  const { observer, observed } = recordingObserver()
  const pool = new WorkerPool({
    workers: 1,
    backend: await backend(),
    maxPixels: 10_000,
    log,
    observer,
    entry: new URL('./mortal-worker.ts', import.meta.url),
    resourceLimits: { maxOldGenerationSizeMb: 256 },
  })
  t.teardown(() => pool.close())
  const model = await loadTiny(t.testdir({}), 1)
  const limits = { queueRows: 1000, batchDelay: 0, gather: (look: () => void) => look(), maxPixels: 10_000 }
  const dispatcher = new Dispatcher({ pool, holders: new Holders(), ...limits, observer, log })
  const predict = (rows: readonly Row[]) =>
    dispatcher.predict(model, { model: model.served, rows, members: 3, networks: 'discrete' })
  await pool.open({ model: model.spec, slot: 0 }, pool.threads[0])

  for (const death of deaths) {
    await t.test(`computes by its successor what it had in hand (${death})`, async t => {
      const [lost, retried] = [observed.workersLost.length, observed.retried.length]
      const once = lethal(death, pool.threads[0])
      const answers = await Promise.all([predict([once, ...tinyRows]), predict(tinyRows)])
      t.same(logits(answers[0]).slice(1), expected)
      t.same(logits(answers[1]), expected)
      t.same(observed.workersLost.slice(lost), [death])
      t.same(observed.retried.slice(retried), [1 + tinyRows.length])
      t.same(observed.rejected, [])
    })
  }

  await t.test('fails the request that kills two of them, and no other of its batch', async t => {
    const lost = observed.workersLost.length
    const first = predict(tinyRows)
    const others = [predict(tinyRows), predict([lethal('exit', 255)]), predict(tinyRows)]
    const [before, deadly, after] = await Promise.allSettled(others)
    t.match(deadly, { status: 'rejected', reason: { code: 'WORKER_LOST', retryAfter: 1 } })
    for (const outcome of [before, after]) {
      t.same(outcome.status === 'fulfilled' && logits(outcome.value), expected)
    }
    t.same(logits(await first), expected)
    t.same(observed.workersLost.slice(lost), ['exit', 'exit'])
    t.same(observed.rejected, [['WORKER_LOST', 1]])
    t.ok(lines.some(({ message }) => message === 'a worker was lost, and is replaced'))
    t.equal(pool.threads.length, 1)
    t.equal(dispatcher.queuedRows + dispatcher.inFlightRows, 0)
  })
})
