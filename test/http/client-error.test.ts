import type { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { test } from 'tap'
import { answerClientError } from '../../src/http/plugins/client-error.ts'

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
