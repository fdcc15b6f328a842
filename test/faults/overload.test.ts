import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { test } from 'tap'
import { metric, skip, startServer } from './server.ts'
import {
  describe,
  describeLatencies,
  digit,
  isBalanced,
  moreAnswers,
  type Question,
  startTraffic,
} from './traffic.ts'

interface Look {
  readonly status: number
  readonly milliseconds: number
}

async function probe(url: string, looks: number): Promise<readonly Look[]> {
  const thread = new Worker(new URL('prober.mjs', import.meta.url), {
    workerData: { url, looks },
    execArgv: [],
  })
  const [found] = await once(thread, 'message')
  return found as readonly Look[]
}

/** Four rows, by all members. */
const heavy: Question = {
  ...digit,
  path: '/predict',
  body: Uint8Array.from({ length: 4 * 28 * 28 }, (_, index) => (index * 7) & 255),
}

test('health is answered with 200 all the time, however many connections ask for too much', {
  skip,
}, async t => {
  const server = await startServer({ XNORD_WORKERS: '1', XNORD_QUEUE_ROWS: '64' })
  t.teardown(() => server.stop())
  const traffic = startTraffic(server.url, 128, heavy)
  // When all are connected: each turn of the event loop takes one connection, a probe among them.
  await moreAnswers(traffic, 2000)
  for (const path of ['/v2/health/live', '/v2/health/ready']) {
    const looks = await probe(server.url + path, 100)
    t.comment(`${path}: ${describeLatencies(looks.map(({ milliseconds }) => milliseconds))}`)
    t.strictSame([...new Set(looks.map(({ status }) => status))], [200], path)
  }
  const balance = await traffic.stop()
  t.comment(describe(balance))
  t.ok(isBalanced(balance))
  t.ok((balance.answered.get(503) ?? 0) > 0, 'it was too much')
})

test('what the queue has no room for is refused, and every request has its answer', { skip }, async t => {
  const server = await startServer({ XNORD_WORKERS: '1', XNORD_QUEUE_ROWS: '64', XNORD_MAX_LAG: '0' })
  t.teardown(() => server.stop())
  const traffic = startTraffic(server.url, 48, heavy)
  const health: number[] = []
  for (let round = 0; round < 20; round++) {
    await moreAnswers(traffic, 50)
    for (const path of ['/v2/health/live', '/v2/health/ready']) {
      health.push((await fetch(server.url + path)).status)
    }
  }
  const balance = await traffic.stop()
  t.comment(describe(balance))
  t.ok(isBalanced(balance))
  t.strictSame([...balance.answered.keys()].sort(), [200, 503])
  t.equal(balance.withoutRetryAfter, 0)
  t.strictSame([...new Set(health)], [200], 'busy is not unhealthy')
  while ((await metric(server.url, /^xnord_queue_rows\b/)) > 0) await delay(10)
  const rows = await metric(server.url, /^xnord_rejections_total\{.*reason="QUEUE_FULL"/)
  const unread = await metric(server.url, /^xnord_refused_requests_total\{reason="QUEUE_FULL"/)
  t.equal(rows / 4 + unread, balance.answered.get(503)!, 'each refusal is counted')
  t.ok(unread > 0)
})

test('what arrives faster than it is read is refused unread, and every request has its answer', {
  skip,
}, async t => {
  const server = await startServer({ XNORD_WORKERS: '1', XNORD_MAX_LAG: '1' })
  t.teardown(() => server.stop())
  const traffic = startTraffic(server.url, 128)
  await moreAnswers(traffic, 4000)
  const balance = await traffic.stop()
  t.comment(describe(balance))
  t.ok(isBalanced(balance))
  t.strictSame([...balance.answered.keys()].sort(), [200, 503])
  t.equal(balance.withoutRetryAfter, 0)
  t.equal(
    await metric(server.url, /^xnord_refused_requests_total\{reason="OVERLOADED"/),
    balance.answered.get(503),
  )
  t.equal(await metric(server.url, /^xnord_requests_total\{.*status="503"/), balance.answered.get(503))
})
