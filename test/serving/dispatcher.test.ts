import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import type { XnordError } from '../../src/errors.ts'
import type { LoadedModel } from '../../src/serving/model.ts'
import type { Row } from '../../src/serving/types.ts'
import { broken, dispatching, logits, numbered, outcome, range, rowBytes, turn } from './dispatching.ts'
import { loadTiny } from './tiny.ts'

test('the dispatcher', async t => {
  const model: LoadedModel = await loadTiny(t.testdir({}), 1)
  const harness = (change = {}) => dispatching(model, change)

  await t.test('answers no rows with no answers', async t => {
    t.same(await harness().predict([]), [])
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
    t.same(logits(await predict([broken])), ['IMAGE_FORMAT_UNKNOWN'])
    pool.answer(0)
    await turn()
    pool.answer(1)
    await Promise.all([inFlight, waiting])
  })

  await t.test('turns a request away as a whole when the queue is full', async t => {
    const { pool, predict, dispatcher, observed } = harness({ queueRows: 4 })
    const answers = [predict([numbered(1)]), predict([numbered(2)], { members: 3 })]
    t.equal(dispatcher.queuedRows, 3)
    t.strictSame([...dispatcher.queuedRowsByModel.values()], [3])
    t.equal(dispatcher.inFlightRows, 1)
    await t.rejects(predict([numbered(3)], { networks: 'both' }), { code: 'QUEUE_FULL', retryAfter: 1 })
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
    t.equal(dispatcher.queuedRowsByModel.size, 0)
  })

  await t.test(
    'counts a row of the baseline alone as one, whatever number of members it comes with',
    async t => {
      const { pool, predict, dispatcher, occupied } = harness({ queueRows: 2 })
      const finish = occupied()
      const answers = [1, 2].map(number => predict([numbered(number)], { networks: 'baseline', members: 3 }))
      t.equal(dispatcher.queuedRows, 2)
      await t.rejects(predict([numbered(3)], { networks: 'baseline' }), { code: 'QUEUE_FULL' })
      await finish()
      t.equal(dispatcher.inFlightRows, 2)
      pool.answer(1)
      t.same((await Promise.all(answers)).map(logits), [[1], [2]])
    },
  )

  await t.test('looks at no row of a request that is too large, however hopeless they are', async t => {
    const { predict, observed } = harness({ queueRows: 4 })
    await t.rejects(predict([broken, broken, broken], { members: 2 }), {
      code: 'REQUEST_TOO_LARGE_FOR_QUEUE',
    })
    t.same(observed.rejected, [['REQUEST_TOO_LARGE_FOR_QUEUE', 3]])
    t.same(observed.failed, [])
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

  await t.test('bounds what waits for each model of itself', async t => {
    const { predict, occupied } = harness({ queueRows: 1 })
    const finish = occupied()
    const other = await loadTiny(t.testdir({}), 1)
    void outcome(predict([numbered(1)]))
    await t.rejects(predict([numbered(2)]), { code: 'QUEUE_FULL' })
    void outcome(predict([numbered(3)], {}, other))
    await t.rejects(predict([numbered(4)], {}, other), { code: 'QUEUE_FULL' })
    await finish()
  })

  await t.test('tells of each model whether its queue has room for a single row', async t => {
    const { pool, predict, dispatcher, occupied } = harness({ queueRows: 2 })
    const other = await loadTiny(t.testdir({}), 1)
    t.equal(dispatcher.secondsToRoom(model), 0, 'nobody has asked for it yet')
    const finish = occupied()
    const first = predict([numbered(1)])
    t.equal(dispatcher.secondsToRoom(model), 0)
    const second = predict([numbered(2)])
    t.equal(dispatcher.secondsToRoom(model), 1)
    t.equal(dispatcher.secondsToRoom(other), 0)
    await finish()
    t.equal(dispatcher.secondsToRoom(model), 0, 'they are in a worker')
    pool.answer(1)
    await Promise.all([first, second])
  })

  await t.test('names the time after which there will be room, as it has measured it', async t => {
    const { pool, predict, occupied } = harness({ queueRows: 2 ** 20 })
    const finish = occupied()
    await sleep(30)
    await finish()
    // One row took 30 ms and more, and twice as many as the queue holds take longer than half a minute.
    const rows = Array.from({ length: 2 ** 20 }, () => numbered(1))
    const answers = outcome(predict(rows.slice(0, 64)))
    const waiting = [outcome(predict(rows))]
    const refused = await predict(rows).catch((thrown: unknown) => thrown)
    t.match(refused, { code: 'QUEUE_FULL' })
    t.ok((refused as XnordError).retryAfter! > 1)
    t.equal(pool.runs.length, 2)
    void [answers, waiting]
  })

  await t.test('refuses at once what cannot be met by its deadline', async t => {
    const { predict, occupied, observed } = harness({ queueRows: 2 ** 20 })
    const finish = occupied()
    await sleep(30)
    await finish()
    void outcome(predict([numbered(1)]))
    void outcome(predict(range(0, 2 ** 16).map(numbered)))
    const deadline = () => performance.now() + 200
    await t.rejects(predict([numbered(2)], { deadline: deadline() }), {
      code: 'DEADLINE_EXCEEDED',
      message: /cannot be met/,
    })
    t.same(observed.rejected, [['DEADLINE_EXCEEDED', 1]])
  })

  await t.test('does not make one model wait for what another has sent', async t => {
    const { pool, predict, occupied } = harness({ queueRows: 2 ** 20 })
    const finish = occupied()
    const other = await loadTiny(t.testdir({}), 1)
    void outcome(predict(range(0, 10 * model.served.maxRows).map(numbered)))
    const answers = outcome(predict([numbered(7)], {}, other))
    await finish()
    pool.answer(1)
    await turn()
    pool.answer(2)
    t.same(await answers, [7])
  })

  await t.test('holds rows back for others where it is told to', async t => {
    const { pool, predict } = harness({ batchDelay: 20 })
    const answers = [predict([numbered(1)]), predict([numbered(2)])]
    t.equal(pool.runs.length, 0)
    while (pool.runs.length === 0) await turn()
    pool.answer(0)
    t.same((await Promise.all(answers)).map(logits), [[1], [2]])
  })

  await t.test('holds the model until the last row has its answer, and its batch is back', async t => {
    const { pool, holders, predict } = harness()
    const ended = predict([numbered(1)], { deadline: performance.now() + 5 })
    t.equal(holders.has(model), true)
    await t.rejects(ended, { code: 'DEADLINE_EXCEEDED' })
    t.equal(holders.has(model), true)
    pool.answer(0)
    await turn()
    t.equal(holders.has(model), false)
  })
})
