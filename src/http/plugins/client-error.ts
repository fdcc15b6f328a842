import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import { XnordError } from '../../errors.ts'
import type { Metrics, UnparsedCode } from '../metrics.ts'
import { newRequestId, problemStyle } from './errors.ts'
import { securityHeaders } from './security-headers.ts'

const codes: Readonly<Record<string, UnparsedCode>> = {
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT',
}

/** Milliseconds in which a client may send on what has been refused, to read the answer then. */
const lingering = 5000

/**
 * Answers what Node's HTTP parser refuses: there is no request yet, so the answer is written to the socket by hand, and
 * counted and logged here. Where the parser fails within a body, the request that it cuts off has a line of its own.
 *
 * @param log null where requests are not logged
 */
export function answerClientErrors(
  metrics: Pick<Metrics, 'unparsed'>,
  log: FastifyBaseLogger | null,
): (error: NodeJS.ErrnoException, socket: Socket) => void {
  return (error, socket) => {
    // What is sent on after a refusal arrives here as further errors.
    if (error.code === 'ECONNRESET' || socket.destroyed || socket.writableEnded) return
    const code = codes[error.code ?? ''] ?? 'REQUEST_MALFORMED'
    const refusal = new XnordError(code, 'The connection is closed.')
    const id = newRequestId()
    metrics.unparsed(code)
    log?.info({ id, status: refusal.status, code }, 'request')
    answer(socket, refusal, id)
  }
}

function answer(socket: Socket, refusal: XnordError, id: string): void {
  const body = JSON.stringify(problemStyle.write(refusal, id))
  const head = [
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}`,
    `Content-Type: ${problemStyle.contentType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    `X-Request-Id: ${id}`,
    ...Object.entries(securityHeaders).map(([name, value]) => `${name}: ${value}`),
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => {
    if (refusal.code === 'REQUEST_TIMEOUT') socket.destroy()
  })
  // Closed with bytes unread, a socket resets the connection, and the client may lose the answer before it has read it.
  const timer = setTimeout(() => socket.destroy(), lingering)
  socket.once('close', () => clearTimeout(timer))
}
