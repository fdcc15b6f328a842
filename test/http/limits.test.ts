import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import Fastify from 'fastify'
import { test } from 'tap'
import { boundRestOfBody, type RestOfBody } from '../../src/http/plugins/rest-of-body.ts'
import { square } from './fake-service.ts'
import { listen, metric, testApp } from './helper.ts'

type Teardown = Parameters<typeof testApp>[0]

const ask = 'GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n'

async function open(t: { teardown(fn: () => void): void }, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

async function answer(socket: Socket): Promise<string> {
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  return bytes.toString()
}

test('a connection beyond the most is closed at once and counted; those that are open serve on', async t => {
  const { app } = await testApp(t, { config: { maxConnections: 2 } })
  const port = await listen(app)
  const first = await open(t, port)
  const second = await open(t, port)
  first.write(ask)
  t.match(await answer(first), /^HTTP\/1.1 200 /)
  const third = await open(t, port)
  third.resume()
  await once(third, 'close')
  t.equal(await metric(app, 'xnord_refused_connections_total'), 1)
  second.write(ask)
  t.match(await answer(second), /^HTTP\/1.1 200 /)
  first.destroy()
  await once(first, 'close')
  for (;;) {
    const fourth = await open(t, port)
    fourth.write(ask)
    const [what] = await Promise.race([once(fourth, 'data'), once(fourth, 'close')])
    if (Buffer.isBuffer(what)) break
  }
  t.pass('room that a connection leaves is taken again')
})

test('a connection is kept for as long as is configured', async t => {
  const { app } = await testApp(t, { config: { keepAliveSeconds: 1 } })
  const socket = await open(t, await listen(app))
  socket.write(ask)
  t.match(await answer(socket), /\r\nKeep-Alive: timeout=1\r\n/i)
  await once(socket, 'close')
})

test('a client that takes nothing of its answer is cut off', async t => {
  const { app } = await testApp(t, {
    config: { requestSeconds: 1 },
    answer(_row, request) {
      const answer = square(request)
      // More than the system keeps for a client.
      return answer.ok
        ? { ...answer, prediction: { ...answer.prediction!, logits: new Float32Array(2 ** 23) } }
        : answer
    },
  })
  const socket = await open(t, await listen(app))
  socket.pause()
  const body = 'abcd'
  socket.write(
    `POST /v2/models/shapes/infer HTTP/1.1\r\nHost: x\r\nInference-Header-Content-Length: 0\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  const cutOff = 'xnord_requests_total{model="shapes",version="2",status="499"}'
  while ((await metric(app, cutOff)) === 0) await delay(50)
  t.equal(await metric(app, 'xnord_held_bytes'), 0)
})

/** A server that answers before it has read anything of a body. */
async function hasty(t: Teardown, most: RestOfBody): Promise<number> {
  const app = Fastify()
  boundRestOfBody(app, most)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _stream, done) => done(null))
  app.post('/', async () => 'answered')
  t.teardown(() => app.close())
  return listen(app)
}

/** Sends a chunk of a body that never ends, again and again. */
function sendOn(t: Teardown, socket: Socket, chunk: string): void {
  const text = `${chunk.length.toString(16)}\r\n${chunk}\r\n`
  const sending = setInterval(() => socket.write(text), 5)
  t.teardown(async () => clearInterval(sending))
}

const head = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\n'

for (const [name, chunk, most] of [
  ['too much', 'x'.repeat(10_000), { bytes: 100_000, milliseconds: 60_000 }],
  ['for too long', 'x', { bytes: 1_000_000_000, milliseconds: 200 }],
] as const) {
  test(`over a connection on which ${name} comes of a body that was answered nothing more comes`, async t => {
    const socket = await open(t, await hasty(t, most))
    socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n`)
    t.match(await answer(socket), /^HTTP\/1.1 200 /)
    sendOn(t, socket, chunk)
    // Not once(): whether the client learns it by an error is the system's choice.
    await new Promise(resolve => socket.once('close', resolve))
  })
}

test('the rest of a body that was answered is thrown away, and the connection serves on', async t => {
  const socket = await open(t, await hasty(t, { bytes: 1_000_000, milliseconds: 60_000 }))
  socket.write(`${head}Content-Length: 500000\r\n\r\n`)
  t.match(await answer(socket), /^HTTP\/1.1 200 /)
  await delay(250)
  socket.write('x'.repeat(500_000))
  await delay(250)
  socket.write(`${head}Content-Length: 3\r\n\r\nabc`)
  t.match(await answer(socket), /^HTTP\/1.1 200 /)
})
