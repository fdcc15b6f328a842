import { connect, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pino } from 'pino'
import { test } from 'tap'
import { answerClientErrors } from '../../src/http/plugins/client-error.ts'
import { listen, metric, type TestOptions, testApp } from './helper.ts'

const answerClientError = answerClientErrors({ unparsed: () => undefined }, null)

/** What is written to a socket for an error. */
function answered(code: string, socket = new PassThrough()): string {
  answerClientError(Object.assign(new Error('refused'), { code }), socket as unknown as Socket)
  return String(socket.read() ?? '')
}

test('a request that took too long to arrive is REQUEST_TIMEOUT, and its connection is closed', async t => {
  const socket = new PassThrough()
  const closed = new Promise(resolve => socket.once('close', resolve))
  const text = answered('ERR_HTTP_REQUEST_TIMEOUT', socket)
  t.match(text, /^HTTP\/1\.1 408 Request Timeout\r\n/)
  t.match(text, /"code":"REQUEST_TIMEOUT"/)
  await closed
})

test('a connection that was reset gets no answer', t => {
  t.equal(answered('ECONNRESET'), '')
  t.end()
})

test('what is sent after a refusal is not answered once more', t => {
  const socket = new PassThrough()
  t.match(answered('HPE_INVALID_METHOD', socket), /^HTTP\/1\.1 400 /)
  t.equal(answered('HPE_INVALID_METHOD', socket), '')
  socket.destroy()
  t.end()
})

/** What the app answers to bytes that are no request, and what it logs. */
async function refused(t: Parameters<typeof testApp>[0], bytes: string, options: TestOptions = {}) {
  const lines: Readonly<Record<string, unknown>>[] = []
  const log = pino({ base: undefined }, { write: line => void lines.push(JSON.parse(line)) })
  const { app } = await testApp(t, { ...options, log })
  const socket = connect(await listen(app), '127.0.0.1')
  socket.end(bytes)
  const answer = await text(socket)
  return { app, answer, lines: lines.filter(({ msg }) => msg === 'request') }
}

test('what is no request is one line of the log, with the id that its sender was told', async t => {
  const { answer, lines } = await refused(t, 'nonsense\r\n\r\n')
  const id = /^X-Request-Id: (.+)\r$/m.exec(answer)?.[1]
  t.match(answer, /^HTTP\/1\.1 400 /)
  t.match(lines, [{ level: 30, id, status: 400, code: 'REQUEST_MALFORMED' }])
})

test('what is no request is counted, by its code', async t => {
  const { app } = await refused(t, `GET / HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(20_000)}\r\n\r\n`)
  t.equal(await metric(app, 'xnord_unparsed_requests_total{code="HEADERS_TOO_LARGE"}'), 1)
  t.equal(await metric(app, 'xnord_unparsed_requests_total{code="REQUEST_MALFORMED"}'), 0)
})

test('what is no request is not logged where requests are not', async t => {
  const { answer, lines } = await refused(t, 'nonsense\r\n\r\n', { config: { logRequests: false } })
  t.match(answer, /REQUEST_MALFORMED/)
  t.same(lines, [])
})
