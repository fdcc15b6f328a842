import { Agent, request as httpRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { XnordError } from '../../src/errors.ts'
import type { PredictRequest } from '../../src/serving/types.ts'
import { listen, metric, multipart, testApp } from './helper.ts'

const { headers, payload } = multipart([{ filename: 'a.png', content: 'x'.repeat(10_000) }])

/** The head of a request for predictions, as sent over a socket. */
function head(length: number | 'chunked', type = headers['content-type']): string {
  const framing = length === 'chunked' ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`
  return `POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\n${framing}\r\n\r\n`
}

/** Asks again until it is so, and fails after a few seconds. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await condition()) return
    await delay(10)
  }
  throw new Error('it never came to be so')
}

/** What one series says, until it says it. */
function untilMetric(app: FastifyInstance, series: string, value: number): Promise<void> {
  return until(async () => (await metric(app, series)) === value)
}

async function received(socket: Socket, text: string): Promise<string> {
  let all = ''
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    all += chunk.toString()
    if (all.includes(text)) break
  }
  return all
}

const gone = 'xnord_requests_total{model="shapes",version="2",status="499"}'

for (const [name, body] of [
  ['a multipart body', head(payload.length) + payload.subarray(0, 5000).toString()],
  ['an image', head(10_000, 'image/png') + 'x'.repeat(5000)],
  ['a chunked image', `${head('chunked', 'image/png')}1000\r\n${'x'.repeat(0x1000)}`],
] as const) {
  test(`a client that hangs up in the midst of ${name} leaves nothing behind`, async t => {
    const { app, requests } = await testApp(t)
    const socket = connect(await listen(app), '127.0.0.1')
    socket.write(body)
    await until(async () => (await metric(app, 'xnord_held_bytes'))! > 0)
    socket.destroy()
    await untilMetric(app, gone, 1)
    t.equal(await metric(app, 'xnord_held_bytes'), 0)
    t.equal(requests.length, 0)
  })
}

test('a client that hangs up while it waits has its rows dropped by an aborted signal', async t => {
  let asked: PredictRequest | undefined
  const { app } = await testApp(t, {
    answer: async (_row, request) => {
      asked = request
      await new Promise<void>(resolve => request.signal!.addEventListener('abort', resolve))
      throw new XnordError('CLIENT_GONE', 'Gone.')
    },
  })
  const socket = connect(await listen(app), '127.0.0.1')
  socket.write(Buffer.concat([Buffer.from(head(payload.length)), payload]))
  await until(() => asked !== undefined)
  t.equal(asked!.signal!.aborted, false)
  socket.destroy()
  await untilMetric(app, gone, 1)
  t.equal(asked!.signal!.aborted, true)
  t.equal(await metric(app, 'xnord_held_bytes'), 0)
})

test('a client that waits for its whole answer is never taken for gone', async t => {
  const { app, requests } = await testApp(t, {
    answer: async () => {
      await delay(50)
      return { ok: false, error: { code: 'IMAGE_EMPTY', detail: 'Empty.' } }
    },
  })
  const socket = connect(await listen(app), '127.0.0.1')
  socket.write(Buffer.concat([Buffer.from(head(payload.length)), payload]))
  t.match(await received(socket, 'IMAGE_EMPTY'), /^HTTP\/1.1 400 /)
  t.equal(requests[0]!.signal!.aborted, false)
  socket.destroy()
})

test('a body that grows over the limit is refused as it arrives, and the connection serves on', async t => {
  const { app } = await testApp(t, { config: { maxFileBytes: 1000, maxBodyBytes: 100_000 } })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const port = await listen(app)
  const post = (chunks: number) =>
    new Promise<number>((resolve, reject) => {
      const request = httpRequest({
        port,
        agent,
        method: 'POST',
        path: '/predict',
        headers: { 'content-type': 'image/png' },
      })
      request.on('error', reject).on('response', response => {
        response.resume()
        response.on('end', () => resolve(response.statusCode!))
      })
      for (let chunk = 0; chunk < chunks; chunk++) request.write('x'.repeat(500))
      request.end()
    })
  t.equal(await post(10_000), 413)
  t.equal(await post(1), 200)
})

test('a multipart body that grows over the limit is refused as it arrives', async t => {
  const { app, requests } = await testApp(t, { config: { maxFileBytes: 50_000, maxBodyBytes: 60_000 } })
  const socket = connect(await listen(app), '127.0.0.1')
  const { payload } = multipart(
    Array.from({ length: 4 }, () => ({ filename: 'a.png', content: 'x'.repeat(40_000) })),
  )
  socket.write(head('chunked'))
  socket.write(`${payload.length.toString(16)}\r\n`)
  socket.write(payload)
  t.match(await received(socket, 'BODY_TOO_LARGE'), /^HTTP\/1.1 413 /)
  socket.destroy()
  t.equal(requests.length, 0)
  await untilMetric(app, 'xnord_held_bytes', 0)
})

for (const [name, type, start] of [
  ['an image', 'image/png', 'the first bytes'],
  ['a multipart body', headers['content-type'], payload.subarray(0, 200).toString()],
] as const) {
  test(`${name} that has not arrived by its deadline is refused, its rest discarded, and the connection serves on`, async t => {
    const { app, requests } = await testApp(t)
    const socket = connect(await listen(app), '127.0.0.1')
    const length = start.length + 10_000_000
    socket.write(head(length, type).replace('/predict', '/predict?deadline=100') + start)
    const answer = await received(socket, '}')
    t.match(answer, /^HTTP\/1.1 503 /)
    t.match(answer, /"code":"DEADLINE_EXCEEDED"/)
    await untilMetric(app, 'xnord_held_bytes', 0)
    socket.write('x'.repeat(10_000_000))
    socket.write('GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n')
    t.match(await received(socket, '}'), /^HTTP\/1.1 200 /)
    socket.destroy()
    t.equal(requests.length, 0)
  })
}

for (const [name, start] of [
  ['a file', '--boundary-of-the-test\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n'],
  ['what comes before the first part', 'x'],
] as const) {
  test(`a multipart body in which ${name} never ends is refused, and its connection ended`, async t => {
    const config = { maxFileBytes: 1000, maxBodyBytes: 100_000, requestSeconds: 2 }
    const { app } = await testApp(t, { config })
    const socket = connect(await listen(app), '127.0.0.1').on('error', () => {})
    const chunk = (text: string) => socket.write(`${text.length.toString(16)}\r\n${text}\r\n`)
    socket.write(head('chunked'))
    chunk(start)
    const sending = setInterval(chunk, 5, 'x'.repeat(10_000))
    t.teardown(() => clearInterval(sending))
    t.match(await received(socket, 'BODY_TOO_LARGE'), /^HTTP\/1.1 413 /)
    await untilMetric(app, 'xnord_held_bytes', 0)
    if (!socket.closed) await new Promise(resolve => socket.resume().once('close', resolve))
  })
}

for (const [name, text] of [
  ['headers', 'GET /models HTTP/1.1\r\nHost'],
  ['a body', `${head(100, 'image/png')}the first bytes`],
] as const) {
  test(`a client that never ends ${name} is refused with REQUEST_TIMEOUT`, async t => {
    const { app } = await testApp(t, { config: { requestSeconds: 0.2 } })
    const socket = connect(await listen(app), '127.0.0.1')
    socket.write(text)
    const answer = await received(socket, '}')
    t.match(answer, /^HTTP\/1.1 408 /)
    t.match(answer, /"code":"REQUEST_TIMEOUT"/)
    await untilMetric(app, 'xnord_held_bytes', 0)
  })
}

test('a client that sends 20 MB of headers before it reads gets its answer', async t => {
  const { app } = await testApp(t)
  const socket = connect(await listen(app), '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\n')
  const line = `X-Long: ${'x'.repeat(990)}\r\n`
  for (let sent = 0; sent < 200; sent++) {
    await new Promise(resolve => socket.write(line.repeat(100), resolve))
  }
  t.match(await received(socket, '}'), /^HTTP\/1.1 431 /)
  socket.destroy()
})

test('a client that sends on for ever after a refusal is cut off', async t => {
  const { app } = await testApp(t)
  const options = { port: await listen(app), host: '127.0.0.1', allowHalfOpen: true }
  const socket = connect(options).on('error', () => {})
  const sending = setInterval(() => socket.write('nonsense\r\n\r\n'), 10)
  t.teardown(() => clearInterval(sending))
  await new Promise(resolve => socket.resume().once('close', resolve))
  t.pass('it was cut off')
})

for (const [name, text, status, code] of [
  ['what is not HTTP', 'nonsense\r\n\r\n', 400, 'REQUEST_MALFORMED'],
  ['a header without end', `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'HEADERS_TOO_LARGE'],
] as const) {
  test(`${name} is refused with ${code} and a closed connection`, async t => {
    const { app } = await testApp(t)
    const socket = connect(await listen(app), '127.0.0.1')
    socket.write(text)
    const answer = await received(socket, '}')
    t.match(answer, new RegExp(`^HTTP/1.1 ${status} `))
    t.match(JSON.parse(answer.slice(answer.indexOf('{'))), { status, code })
    socket.destroy()
  })
}
