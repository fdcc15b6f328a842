import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'tap'
import type { PredictRequest } from '../../src/serving/types.ts'
import { square } from './fake-service.ts'
import { listen, metric, testApp } from './helper.ts'

const row =
  'POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\ncontent-length: 4\r\n\r\nabcd'

/** Clients that have sent three requests over one connection, none of which is answered before `answer` is called. */
async function threeAtOnce(t: Parameters<typeof testApp>[0]) {
  let answer = () => {}
  const told = new Promise<void>(resolve => {
    answer = resolve
  })
  const asked: PredictRequest[] = []
  const { app } = await testApp(t, {
    async answer(_row, request) {
      asked.push(request)
      await told
      return square(request)
    },
  })
  const socket = connect(await listen(app), '127.0.0.1')
  socket.write(row.repeat(3))
  while (asked.length < 3) await delay(5)
  return { app, asked, socket, answer }
}

test('a connection that closes takes all requests with it that were sent over it', async t => {
  const { app, asked, socket, answer } = await threeAtOnce(t)
  t.equal(await metric(app, 'xnord_held_bytes'), 12)
  socket.destroy()
  while (!asked[0]!.signal!.aborted) await delay(5)
  t.strictSame(
    asked.map(({ signal }) => signal!.aborted),
    [true, true, true],
  )
  t.equal(await metric(app, 'xnord_held_bytes'), 0, 'nothing of them is held')
  answer()
  await delay(20)
  t.equal(await metric(app, 'xnord_requests_total{model="shapes",version="2",status="499"}'), 3)
})

test('requests that were sent at once are answered in their order', async t => {
  const { app, socket, answer } = await threeAtOnce(t)
  let text = ''
  socket.on('data', chunk => {
    text += chunk
  })
  answer()
  while ((text.match(/"predictions"/g) ?? []).length < 3) await delay(5)
  t.equal(text.match(/HTTP\/1\.1 200/g)?.length, 3)
  socket.destroy()
  await once(socket, 'close')
  t.equal(await metric(app, 'xnord_held_bytes'), 0)
  t.equal(await metric(app, 'xnord_requests_total{model="shapes",version="2",status="200"}'), 3)
})
