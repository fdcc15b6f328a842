import type { FastifyInstance } from 'fastify'

/**
 * Ends a connection whose client has taken nothing of an answer for so long: what the answer holds would be held for as
 * long as the client likes. Once it has left, Node sets the connection's limit for keeping it.
 */
export function limitUnread(app: FastifyInstance, milliseconds: number): void {
  app.addHook('onSend', ({ raw: { socket } }, _reply, _payload, next) => {
    socket.setTimeout?.(milliseconds)
    next()
  })
}
