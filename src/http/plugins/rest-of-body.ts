import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'

/** What a client may send on after the answer, to find it then: closed at once, its connection would be reset. */
export interface RestOfBody {
  readonly bytes: number
  readonly milliseconds: number
}

const usual: RestOfBody = { bytes: 2 ** 24, milliseconds: 10_000 }

/** Milliseconds between two looks at it. */
const interval = 100

/** Bounds the rest of every body that has been answered already. */
export function boundRestOfBody(app: FastifyInstance, most = usual): void {
  app.addHook('onResponse', ({ raw }, _reply, next) => {
    boundRest(raw, most)
    next()
  })
}

/**
 * Ends a connection over which too much, or for too long, comes of a body that has been answered already. Until then it
 * is thrown away as it arrives, and the connection serves on.
 */
export function boundRest(request: IncomingMessage, most = usual): void {
  if (request.complete) return
  const { headers, socket } = request
  const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
  if (!hasBody || socket.destroyed) return

  const bytes = socket.bytesRead + most.bytes
  const end = performance.now() + most.milliseconds
  const timer = setInterval(() => {
    if (!request.complete && !socket.destroyed) {
      if (socket.bytesRead <= bytes && performance.now() <= end) return
      request.destroy()
    }
    clearInterval(timer)
  }, interval).unref()
}
