import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

/** Milliseconds in which what was sent before the server closed may still arrive. */
const grace = 250

/**
 * Ends every connection as soon as nothing is under way on it, once the server closes: until then clients keep theirs,
 * and closing would wait for the last of them to let go.
 *
 * @returns what tells whether the server closes by now
 */
export function endConnectionsOnClose(app: FastifyInstance): () => boolean {
  let closing = false
  const sockets = new Set<Socket>()
  let taken = 0

  /**
   * Connections may wait to be taken, and requests to be read: Node would reset these, to it they are not there, or
   * idle. Each turn of the event loop takes one connection, and reads what has come over those before.
   */
  async function takeWaiting(): Promise<void> {
    const end = performance.now() + grace
    let before: number
    // The turn that has begun may be past both.
    await nextTurn()
    do {
      before = taken
      await nextTurn()
    } while (taken > before && performance.now() < end)
  }

  app.server.on('connection', (socket: Socket) => {
    taken++
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  app.addHook('preClose', async () => {
    closing = true
    await takeWaiting()
    // Browsers connect ahead of need. Such a connection is not idle for Node, which would wait for its first request.
    setTimeout(() => {
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
    }, grace).unref()
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
  return () => closing
}
