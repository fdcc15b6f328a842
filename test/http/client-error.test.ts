import type { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { test } from 'tap'
import { answerClientError } from '../../src/http/plugins/client-error.ts'

/** What is written to a socket for an error, and whether the socket was closed. */
function answered(code: string, socket = new PassThrough()) {
  socket.on('error', () => {})
  answerClientError(Object.assign(new Error('refused'), { code }), socket as unknown as Socket)
  return { text: String(socket.read() ?? ''), closed: socket.destroyed }
}

test('a request that took too long to arrive is REQUEST_TIMEOUT', t => {
  const { text, closed } = answered('ERR_HTTP_REQUEST_TIMEOUT')
  t.match(text, /^HTTP\/1\.1 408 Request Timeout\r\n/)
  t.match(text, /"code":"REQUEST_TIMEOUT"/)
  t.ok(closed)
  t.end()
})

test('a connection that was reset gets no answer', t => {
  t.equal(answered('ECONNRESET').text, '')
  t.end()
})

test('a socket that cannot be written to is closed', t => {
  const socket = new PassThrough()
  socket.end()
  t.same(answered('HPE_INVALID_METHOD', socket), { text: '', closed: true })
  t.end()
})
