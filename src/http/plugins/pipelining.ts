import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/**
 * Tells every answer of a connection that closes that it has closed. Node tells only the one whose turn it is: of the
 * requests that a client has sent behind it nobody would learn that they are over, and what they hold would stay held.
 */
export function closePipelined(app: FastifyInstance): void {
  const behind = new WeakMap<Socket, Set<ServerResponse>>()

  function responsesBehind(socket: Socket): Set<ServerResponse> {
    const known = behind.get(socket)
    if (known !== undefined) return known
    const responses = new Set<ServerResponse>()
    behind.set(socket, responses)
    socket.once('close', () => {
      for (const response of responses) {
        // As Node leaves one whose turn had come.
        response.destroyed = true
        response.emit('close')
      }
    })
    return responses
  }

  app.addHook('onRequest', ({ raw: { socket } }, { raw: response }, next) => {
    // An answer has no connection until its turn comes.
    if (response.socket !== null) return next()
    const responses = responsesBehind(socket)
    responses.add(response)
    response.once('close', () => responses.delete(response))
    next()
  })
}
