import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { test } from 'tap'
import { abandon, arrive, createBarrier } from '../../src/serving/barrier.ts'

function arriver(barrier: SharedArrayBuffer, parties: number): Promise<unknown> {
  const worker = new Worker(new URL('./arriver.ts', import.meta.url), { workerData: { barrier, parties } })
  return once(worker, 'message').then(([place]) => place)
}

test('who is alone does not wait', async t => {
  t.equal(arrive(createBarrier(), 1, 60_000), 0)
})

test('all pass when the last has arrived, each with a place of its own', async t => {
  const barrier = createBarrier()
  const places = [arriver(barrier, 3), arriver(barrier, 3), arriver(barrier, 3)]
  t.same((await Promise.all(places)).sort(), [0, 1, 2])
})

test('who waits goes home when the meeting is abandoned', async t => {
  const barrier = createBarrier()
  const place = arriver(barrier, 2)
  while (Atomics.load(new Int32Array(barrier), 0) === 0) await new Promise(setImmediate)
  abandon(barrier)
  t.equal(await place, null)
})

test('who comes too late to an abandoned meeting does not wait', async t => {
  const barrier = createBarrier()
  abandon(barrier)
  t.equal(arrive(barrier, 2, 60_000), null)
})

test('who waits in vain gives up, and abandons the meeting for all', async t => {
  const barrier = createBarrier()
  t.equal(arrive(barrier, 2, 1), null)
  t.equal(arrive(barrier, 2, 60_000), null)
})
