import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'tap'
import { metric, skip, startServer } from './server.ts'
import { describe, digit, isBalanced, moreAnswers, startTraffic } from './traffic.ts'

const head = (length: number) =>
  `POST ${digit.path} HTTP/1.1\r\nhost: x\r\ncontent-type: ${digit.contentType}\r\ncontent-length: ${length}\r\n\r\n`

/** Sends a request, or the first half of one, and leaves. */
function hangUp(port: number, whole: boolean): Promise<void> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(head(digit.body.length))
      socket.write(digit.body.subarray(0, whole ? digit.body.length : 100), () => socket.resetAndDestroy())
    })
    socket.on('close', () => resolve())
    socket.on('error', () => undefined)
  })
}

test('clients that hang up cost the others nothing, and leave nothing behind', { skip }, async t => {
  const server = await startServer({ XNORD_WORKERS: '1' })
  t.teardown(() => server.stop())
  const port = Number(new URL(server.url).port)
  const traffic = startTraffic(server.url, 8)
  for (let round = 0; round < 100; round++) {
    await Promise.all([hangUp(port, true), hangUp(port, false), moreAnswers(traffic, 5)])
  }
  const balance = await traffic.stop()
  t.comment(describe(balance))
  t.ok(isBalanced(balance))
  t.strictSame([...balance.answered.keys()], [200])
  for (const left of ['queue_rows', 'in_flight_rows', 'held_bytes']) {
    const name = new RegExp(`^xnord_${left}\\b`)
    while ((await metric(server.url, name)) > 0) await delay(10)
    t.equal(await metric(server.url, name), 0, left)
  }
  t.ok((await metric(server.url, /^xnord_requests_total\{.*status="499"/)) > 0, 'they were noticed')
})
