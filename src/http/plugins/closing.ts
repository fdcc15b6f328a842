import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/**
 * Ends every connection as soon as nothing is under way on it, once the server closes: until then clients keep theirs,
 * and closing would wait for the last of them to let go.
 */
export function endConnectionsOnClose(app: FastifyInstance): void {
  let closing = false
  const sockets = new Set<Socket>()

  app.server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  app.addHook('preClose', async () => {
    closing = true
    // Browsers connect ahead of need. Such a connection is not idle for Node, which would wait for its first request.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
  })
  // Not from the signal on: while the server still listens, clients take a closed connection for a failure of theirs.
  app.addHook('onSend', (_request, reply, _payload, next) => {
    if (closing) reply.header('connection', 'close')
    next()
  })
  // An answer that had begun when the closing did promised to keep the connection.
  app.addHook('onResponse', (request, _reply, next) => {
    if (closing) request.raw.socket.destroySoon()
    next()
  })
}
