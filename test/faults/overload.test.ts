import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'tap'
import { metric, skip, startServer } from './server.ts'
import { describe, digit, isBalanced, moreAnswers, type Question, startTraffic } from './traffic.ts'

/** Four rows, by all members. */
const heavy: Question = {
  ...digit,
  path: '/predict',
  body: Uint8Array.from({ length: 4 * 28 * 28 }, (_, index) => (index * 7) & 255),
}

test('what is too much is refused, and every request has its answer', { skip }, async t => {
  const server = await startServer({ XNORD_WORKERS: '1', XNORD_QUEUE_ROWS: '64' })
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
  t.equal(
    await metric(server.url, /^xnord_rejections_total\{.*reason="QUEUE_FULL"/),
    4 * balance.answered.get(503)!,
    'each refused row is counted',
  )
})
