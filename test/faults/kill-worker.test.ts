import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'tap'
import { metric, skip, startServer } from './server.ts'
import { describe, isBalanced, moreAnswers, startTraffic } from './traffic.ts'

test('workers that are killed under traffic cost nobody an answer', { skip }, async t => {
  const server = await startServer({ XNORD_WORKERS: '2' })
  t.teardown(() => server.stop())
  const traffic = startTraffic(server.url, 8)
  for (let kill = 1; kill <= 3; kill++) {
    await moreAnswers(traffic, 200)
    server.child.kill('SIGUSR2')
    while ((await metric(server.url, /^xnord_lost_workers_total\b/)) < kill) await delay(10)
  }
  await moreAnswers(traffic, 200)
  const balance = await traffic.stop()
  t.comment(describe(balance))
  t.ok(isBalanced(balance))
  t.strictSame([...balance.answered.keys()], [200])
  t.equal((await fetch(`${server.url}/v2/health/ready`)).status, 200)
  t.equal(await metric(server.url, /^xnord_workers\b/), 2, 'the pool has refilled')
})
