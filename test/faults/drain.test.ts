import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'tap'
import { skip, startServer } from './server.ts'
import { describe, isBalanced, moreAnswers, startTraffic } from './traffic.ts'

test('a server that is told to end answers all that it was sent, and ends with 0', { skip }, async t => {
  const server = await startServer({ XNORD_WORKERS: '2', XNORD_DRAIN_SECONDS: '2' })
  t.teardown(() => server.child.kill('SIGKILL'))
  const traffic = startTraffic(server.url, 8)
  await moreAnswers(traffic, 200)
  server.child.kill('SIGTERM')
  // What a load balancer does: it asks, and sends nothing more once the answer is no.
  while ((await fetch(`${server.url}/v2/health/ready`)).status === 200) await delay(10)
  t.equal((await fetch(`${server.url}/v2/health/live`)).status, 200, 'it lives until it ends')
  await moreAnswers(traffic, 200)
  const balance = await traffic.stop()
  t.comment(describe(balance))
  t.ok(isBalanced(balance))
  t.strictSame([...balance.answered.keys()], [200])
  t.equal(await server.ended, 0)
})

test('a second signal ends it at once', { skip }, async t => {
  const server = await startServer({ XNORD_WORKERS: '1', XNORD_DRAIN_SECONDS: '3600' })
  t.teardown(() => server.child.kill('SIGKILL'))
  server.child.kill('SIGTERM')
  while ((await fetch(`${server.url}/v2/health/ready`)).status === 200) await delay(10)
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 143)
})
