import { test } from 'tap'
import { XnordError } from '../../src/errors.ts'
import type { LoadedModel } from '../../src/serving/model.ts'
import { encodeGreyPng } from '../images/png.ts'
import {
  dispatching,
  large,
  largePng,
  logits,
  numbered,
  outcome,
  range,
  rowBytes,
  turn,
  workerLost,
} from './dispatching.ts'
import { loadTiny } from './tiny.ts'

test('a batch and its rows', async t => {
  const model: LoadedModel = await loadTiny(t.testdir({}), 1)
  const { maxRows } = model.served
  const harness = (change = {}) => dispatching(model, change)

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

  await t.test('sends together only rows whose requests ask for the same layers', async t => {
    const { pool, predict, occupied } = harness()
    const finish = occupied()
    const asked = [['a', 'b'], ['a,b'], ['a', 'b'], []]
    const answers = asked.map((layers, index) => predict([numbered(index)], { layers }))
    await finish()
    for (let batch = 1; batch <= 3; batch++) {
      pool.answer(batch)
      await turn()
    }
    await Promise.all(answers)
    t.same(
      pool.runs.slice(1).map(({ message }) => [message.rows.length, message.layers]),
      [
        [2, ['a', 'b']],
        [1, ['a,b']],
        [1, []],
      ],
    )
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

  await t.test('mixes neither numbers of members nor rows that other networks answer', async t => {
    const { pool, predict } = harness()
    const answers = [
      predict([numbered(1)]),
      predict([numbered(2)], { members: 2 }),
      predict([numbered(3)], { networks: 'both' }),
      predict([numbered(4)], { members: 2 }),
      predict([numbered(5)], { networks: 'baseline' }),
      predict([numbered(6)], { networks: 'baseline', members: 2 }),
    ]
    for (let batch = 0; batch < 4; batch++) {
      pool.answer(batch)
      await turn()
    }
    t.same((await Promise.all(answers)).map(logits), [[1], [2], [3], [4], [5], [6]])
    t.same(
      pool.runs.map(({ message: { members, networks, rows } }) => [members, networks, rows.length]),
      [
        [1, 'discrete', 1],
        [2, 'discrete', 2],
        [1, 'both', 1],
        [0, 'baseline', 2],
      ],
    )
  })

  await t.test('shares the times of a batch among its rows', async t => {
    const { pool, predict } = harness()
    const blocked = predict([numbered(0)])
    const answers = predict([numbered(1), numbered(2)], { networks: 'both' })
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

  await t.test('gives no time for a network that was not asked', async t => {
    const { pool, predict, observed } = harness()
    const answers = [predict([numbered(1)]), predict([numbered(2)], { networks: 'baseline' })]
    pool.answer(0)
    await turn()
    pool.answer(1)
    await Promise.all(answers)
    t.match(observed.rows, [
      { compute: 8, baseline: null },
      { compute: null, baseline: 4 },
    ])
  })

  await t.test('tells of a batch how long all networks computed for it', async t => {
    const { pool, predict, observed } = harness()
    const answers = (['discrete', 'baseline', 'both'] as const).map((networks, number) =>
      predict([numbered(number)], { networks }),
    )
    for (let batch = 0; batch < 3; batch++) {
      pool.answer(batch)
      await turn()
    }
    await Promise.all(answers)
    t.same(observed.computed, [8, 4, 12])
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
    const answers = predict([numbered(1), numbered(2)], { networks: 'both' })
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

  await t.test('computes the rows of a worker that dies once more, before what came after them', async t => {
    const { pool, predict, dispatcher, observed, lines } = harness()
    const answers = [predict([numbered(1)]), predict([numbered(2)])]
    pool.runs[0].fail(workerLost())
    await turn()
    t.equal(dispatcher.inFlightRows, 1)
    pool.answer(1)
    await turn()
    pool.answer(2)
    t.same((await Promise.all(answers)).map(logits), [[1], [2]])
    t.same(observed.retried, [1])
    t.same(observed.rejected, [])
    t.match(lines, [{ level: 'error', message: 'a batch was lost', details: { rows: 1, retried: 1 } }])
  })

  await t.test('retries each request alone, and fails the one whose worker dies a second time', async t => {
    const { pool, predict, dispatcher, observed, occupied } = harness()
    const finish = occupied()
    const deadly = outcome(predict([numbered(1), numbered(2)]))
    const innocent = outcome(predict([numbered(3)]))
    await finish()
    t.equal(pool.runs[1].message.rows.length, 3)
    pool.runs[1].fail(workerLost())
    await turn()
    t.equal(pool.runs[2].message.rows.length, 2)
    pool.runs[2].fail(workerLost())
    t.same(await deadly, ['WORKER_LOST'])
    await turn()
    pool.answer(3)
    t.same(await innocent, [3])
    t.same(observed.retried, [3])
    t.same(observed.rejected, [['WORKER_LOST', 2]])
    t.equal(dispatcher.queuedRows + dispatcher.inFlightRows, 0)
  })

  await t.test('fails with a request whose worker dies a second time what of it waits', async t => {
    const { pool, predict, dispatcher, observed } = harness()
    const answers = outcome(predict(range(0, maxRows + 3).map(numbered)))
    pool.runs[0].fail(workerLost())
    await turn()
    pool.runs[1].fail(workerLost())
    t.same(await answers, ['WORKER_LOST'])
    t.same(observed.rejected, [['WORKER_LOST', maxRows + 3]])
    t.equal(dispatcher.queuedRows, 0)
  })

  await t.test('decodes the image of a worker that dies once more, and once only', async t => {
    const { pool, predict, dispatcher, observed } = harness()
    const answers = outcome(predict([large]))
    pool.decodes[0].fail(workerLost())
    await turn()
    pool.decodes[1].fail(workerLost())
    t.same(await answers, ['WORKER_LOST'])
    t.same(observed.retried, [1])
    t.same(observed.rejected, [['WORKER_LOST', 1]])
    t.equal(dispatcher.queuedRows, 0)
  })

  await t.test('does not retry what nobody waits for any more', async t => {
    const { pool, predict, observed } = harness()
    const client = new AbortController()
    const gone = outcome(predict([numbered(1)], { signal: client.signal }))
    client.abort()
    t.same(await gone, ['CLIENT_GONE'])
    pool.runs[0].fail(workerLost())
    await turn()
    t.equal(pool.runs.length, 1)
    t.same(observed.retried, [])
  })

  await t.test('never computes a row whose deadline has passed, though its timer is late', async t => {
    const { pool, predict, observed, dispatcher, occupied } = harness()
    occupied()
    const deadline = performance.now() + 20
    const late = outcome(predict([numbered(1), numbered(2)], { deadline }))
    const lateImage = outcome(predict([large], { deadline }))
    const punctual = outcome(predict([numbered(3)]))
    pool.answer(0)
    // The batch leaves before any timer has a chance.
    while (performance.now() < deadline);
    await turn()
    t.same(await late, ['DEADLINE_EXCEEDED'])
    t.same(await lateImage, ['DEADLINE_EXCEEDED'])
    await turn()
    t.equal(pool.runs.length, 2)
    t.equal(pool.decodes.length, 0)
    pool.answer(1)
    t.same(await punctual, [3])
    t.equal(dispatcher.queuedRows, 0)
    t.same(observed.rejected, [
      ['DEADLINE_EXCEEDED', 2],
      ['DEADLINE_EXCEEDED', 1],
    ])
  })
})
