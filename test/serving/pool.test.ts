import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Worker } from 'node:worker_threads'
import { test } from 'tap'
import type { ModelSpec, RowsReply, RunMessage } from '../../src/serving/messages.ts'
import type { LoadedModel } from '../../src/serving/model.ts'
import { WorkerPool } from '../../src/serving/pool.ts'
import { lethal } from './lethal.ts'
import { backend, loadTiny, recordingLog, recordingObserver, tinyLogits, tinyRows } from './tiny.ts'

const digit: Uint8Array = readFileSync(new URL('../fixtures/digit.png', import.meta.url))

const threads: Worker[] = []
process.on('worker', thread => threads.push(thread))

function message(model: LoadedModel, row: number, slot: number, members = 1): RunMessage {
  const { bytes } = tinyRows[row]
  return {
    model: model.spec.id,
    spec: null,
    slot,
    members,
    networks: 'discrete',
    layers: [],
    bytes: Uint8Array.from(bytes).buffer,
    rows: [bytes.length],
  }
}

/** Enough decoding to keep a worker for some time. */
function longMessage(model: LoadedModel, slot: number): RunMessage {
  const { maxRows } = model.served
  const bytes = Uint8Array.from(Buffer.concat(new Array<Uint8Array>(maxRows).fill(digit))).buffer
  return { ...message(model, 0, slot), bytes, rows: new Array<number>(maxRows).fill(-digit.length) }
}

async function openEverywhere(pool: WorkerPool, model: ModelSpec): Promise<void> {
  await Promise.all(pool.threads.map((thread, slot) => pool.open({ model, slot }, thread)))
}

function logitsOf(reply: { readonly kind: string }): readonly number[] {
  const [row] = (reply as RowsReply).rows
  if (!row.ok) throw new Error(row.error.detail)
  return [...row.prediction!.logits]
}

test('two workers', async t => {
  const { log } = recordingLog()
  const { observer, observed } = recordingObserver()
  const pool = new WorkerPool({ workers: 2, backend: await backend(), maxPixels: 10_000, log, observer })
  t.teardown(() => pool.close())
  const model = await loadTiny(t.testdir({}), 2)

  await t.test('open a model once each, before it is used', async t => {
    await openEverywhere(pool, model.spec)
    const replies = await Promise.all([pool.run(message(model, 1, 0)), pool.run(message(model, 2, 1))])
    t.same(replies.map(logitsOf), [tinyLogits(1, 1), tinyLogits(2, 1)])
  })

  await t.test('compute with the one copy of the weights that the main thread has laid out', async t => {
    const { plan, memory } = model.spec
    const weights = new Uint8Array(memory.buffer, plan.slotsAddress - plan.weightBytes, plan.weightBytes)
    const saved = weights.slice()
    weights.fill(0)
    const changed = await Promise.all([pool.run(message(model, 7, 0)), pool.run(message(model, 7, 1))])
    weights.set(saved)
    const restored = await Promise.all([pool.run(message(model, 7, 0)), pool.run(message(model, 7, 1))])
    for (const reply of changed) t.notSame(logitsOf(reply), tinyLogits(7, 1))
    t.same(restored.map(logitsOf), [tinyLogits(7, 1), tinyLogits(7, 1)])
  })

  await t.test('give the same logits whichever of them computes', async t => {
    const rounds = Array.from({ length: 20 }, (_, round) => round % tinyRows.length)
    for (const row of rounds) {
      const replies = await Promise.all([
        pool.run(message(model, row, 0, 3)),
        pool.run(message(model, row, 1, 3)),
      ])
      t.same(replies.map(logitsOf), [tinyLogits(row, 3), tinyLogits(row, 3)])
    }
  })

  await t.test('return the errors of a task with their codes', async t => {
    const bytes = Uint8Array.from(digit.subarray(0, 60)).buffer
    await t.rejects(pool.decode({ input: model.spec.input, bytes }), { code: 'IMAGE_MALFORMED' })
  })

  await t.test('forget a model that was released', async t => {
    const other = await loadTiny(t.testdir({}), 2)
    await openEverywhere(pool, other.spec)
    for (const thread of pool.threads) await pool.release({ model: other.spec.id }, thread)
    const replies = await Promise.all([pool.run(message(other, 0, 0)), pool.run(message(other, 0, 1))])
    t.same(replies, [{ kind: 'unknown-model' }, { kind: 'unknown-model' }])
  })

  await t.test(
    'refuse a model that does not reproduce its check vectors, and go on with the others',
    async t => {
      const { spec } = await loadTiny(t.testdir({}), 2)
      const logits = Float32Array.from(spec.check.logits)
      logits[logits.length - 1] += 1
      const broken = { ...spec, check: { ...spec.check, logits } }
      await t.rejects(openEverywhere(pool, broken), {
        code: 'MODEL_CHECK_FAILED',
        message: /member 2, operation logits/,
      })
      t.same(logitsOf(await pool.run(message(model, 3, 0))), tinyLogits(3, 1))
    },
  )

  await t.test(
    'lose only the batch of the one that dies, and get a new one, which asks for the model',
    async t => {
      const before = threads.length
      const lost = [pool.run(longMessage(model, 0)), pool.run(longMessage(model, 1))].map(async reply => {
        try {
          await reply
          return 'answered'
        } catch (thrown) {
          return (thrown as { readonly code: string }).code
        }
      })
      await threads[0].terminate()
      t.same((await Promise.all(lost)).sort(), ['WORKER_LOST', 'answered'])
      t.equal(threads.length, before + 1)
      const next = () => Promise.all([pool.run(message(model, 4, 0)), pool.run(message(model, 4, 1))])
      t.ok((await next()).some(({ kind }) => kind === 'unknown-model'))
      t.equal(pool.alive, true)
    },
  )

  await t.test('count what they are busy with', async t => {
    const seconds = pool.busySeconds
    const run = pool.run(longMessage(model, 0))
    t.equal(pool.busyWorkers, 1)
    t.ok(pool.busySeconds >= seconds)
    await run
    t.equal(pool.busyWorkers, 0)
    t.ok(pool.busySeconds > seconds)
  })

  await t.test('open a model while they compute', async t => {
    const other = await loadTiny(t.testdir({}), 2)
    const [first, second] = await Promise.all([
      pool.run({ ...longMessage(model, 0), spec: model.spec }),
      pool.run({ ...longMessage(model, 1), spec: model.spec }),
      openEverywhere(pool, other.spec),
    ])
    for (const reply of [first, second]) {
      t.ok(reply.kind === 'rows' && reply.rows.length === model.served.maxRows)
    }
    const replies = await Promise.all([pool.run(message(other, 1, 0)), pool.run(message(other, 2, 1))])
    t.same(replies.map(logitsOf), [tinyLogits(1, 1), tinyLogits(2, 1)])
  })

  await t.test('fail the task of one that dies while it opens a model', async t => {
    const other = await loadTiny(t.testdir({}), 2)
    const thread = threads.at(-1)!
    const gone = once(thread, 'exit')
    const { threadId } = thread
    // Its end is on its way when it is asked: asked before, it may be the faster one.
    thread.terminate()
    const opening = pool.open({ model: other.spec, slot: 0 }, threadId)
    await t.rejects(opening, { code: 'WORKER_LOST' })
    await gone
    await openEverywhere(pool, other.spec)
    t.same(logitsOf(await pool.run(message(other, 5, 0))), tinyLogits(5, 1))
  })

  await t.test('leave a task for one that is gone to whoever is free', async t => {
    const other = await loadTiny(t.testdir({}), 2)
    await pool.open({ model: other.spec, slot: 0 }, 0)
    const replies = await Promise.all([pool.run(message(other, 5, 0)), pool.run(message(other, 5, 1))])
    t.same(replies.map(({ kind }) => kind).sort(), ['rows', 'unknown-model'])
  })

  await t.test('are reported when they die', async t => {
    t.same(observed.workersLost, ['exit', 'exit'])
  })
})

test('a worker whose heap is exhausted is replaced, and said to have died of that', async t => {
  const { log } = recordingLog()
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
  const [thread] = pool.threads
  await openEverywhere(pool, model.spec)
  const deadly = { ...message(model, 0, 0), bytes: lethal('memory', thread).bytes.slice().buffer }
  await t.rejects(pool.run(deadly), { code: 'WORKER_LOST' })
  const spec = { ...message(model, 3, 0), spec: model.spec }
  t.same(logitsOf(await pool.run(spec)), tinyLogits(3, 1))
  t.same(observed.workersLost, ['memory'])
  t.notSame(pool.threads, [thread])
})

test('where no worker can start, no task waits for one, and that is said once', async t => {
  const { log, lines } = recordingLog()
  const entry = new URL('./absent.ts', import.meta.url)
  const causes: unknown[] = []
  const pool = new WorkerPool({
    workers: 1,
    backend: await backend(),
    maxPixels: 1,
    log,
    observer: recordingObserver().observer,
    entry,
    onDead: cause => causes.push(cause),
  })
  t.teardown(() => pool.close())
  const model = await loadTiny(t.testdir({}), 1)
  while (pool.alive) await t.rejects(pool.run(message(model, 0, 0)), { code: 'WORKER_LOST', retryAfter: 1 })
  await t.rejects(pool.open({ model: model.spec, slot: 0 }, 1), {
    code: 'WORKER_LOST',
    message: /no worker is left/,
  })
  t.ok(lines.some(({ level, message }) => level === 'error' && message === 'a worker died'))
  t.equal(causes.length, 1)
})
