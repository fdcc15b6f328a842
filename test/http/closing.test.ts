import { once } from 'node:events'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import type { RowAnswer } from '../../src/serving/types.ts'
import { listen, testApp } from './helper.ts'

const empty: RowAnswer = { ok: false, error: { code: 'IMAGE_EMPTY', detail: 'Empty.' } }

async function notListening({ server }: FastifyInstance): Promise<void> {
  while (server.listening) await new Promise(setImmediate)
}

/** A request of a client that keeps its connection for as long as it is let. */
function ask(t: { teardown(fn: () => void): void }, port: number, method: string, path: string) {
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const request = httpRequest({ port, agent, method, path, headers: { 'content-type': 'image/png' } })
  request.end(method === 'POST' ? 'the bytes' : undefined)
  return once(request, 'response') as Promise<[IncomingMessage]>
}

// Where connections are not ended, closing waits for Node's keep-alive timeout, and these tests for their own.
test('a closing server answers what is under way on a kept connection, and ends the connection', {
  timeout: 20_000,
}, async t => {
  let finish = () => {}
  const finished = new Promise<void>(resolve => {
    finish = resolve
  })
  const { app, requests } = await testApp(t, { answer: () => finished.then(() => empty) })
  const answered = ask(t, await listen(app), 'POST', '/predict')
  while (requests.length === 0) await new Promise(setImmediate)
  const closed = app.close()
  await notListening(app)
  finish()
  const [response] = await answered
  response.resume()
  t.equal(response.statusCode, 400)
  t.equal(response.headers.connection, 'close')
  await closed
})

test('a closing server ends a connection whose answer promised before to keep it', {
  timeout: 20_000,
}, async t => {
  const { app } = await testApp(t)
  let closed: Promise<unknown> | undefined
  app.get('/late', {
    onSend: async () => {
      closed = app.close()
      await notListening(app)
    },
    handler: async () => 'late',
  })
  const [response] = await ask(t, await listen(app), 'GET', '/late')
  response.resume()
  t.equal(response.headers.connection, 'keep-alive')
  await once(response, 'end')
  await closed
})

const liveness = 'GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n'

test('a closing server answers what arrives over a connection that it has just taken', {
  timeout: 20_000,
}, async t => {
  const { app } = await testApp(t)
  const socket = connect(await listen(app), '127.0.0.1')
  await once(app.server, 'connection')
  const closed = app.close()
  socket.write(liveness)
  const answer = await text(socket)
  t.match(answer, /^HTTP\/1\.1 200 /)
  t.match(answer, /\r\nconnection: close\r\n/i)
  await closed
})

test('a closing server answers what lies unread on a kept connection', { timeout: 20_000 }, async t => {
  const { app } = await testApp(t)
  const socket = connect(await listen(app), '127.0.0.1')
  socket.write(liveness)
  await once(socket, 'data')
  const closed = app.close()
  socket.write(liveness)
  t.match(await text(socket), /^HTTP\/1\.1 200 /)
  await closed
})

test('a closing server waits a moment only for a connection over which nothing has come', {
  timeout: 20_000,
}, async t => {
  const { app } = await testApp(t)
  const socket = connect(await listen(app), '127.0.0.1')
  await Promise.all([once(app.server, 'connection'), once(socket, 'connect')])
  const ended = once(socket, 'close')
  await app.close()
  await ended
  t.pass('it closed by itself')
})
