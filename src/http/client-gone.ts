import type { FastifyReply } from 'fastify'

/**
 * Aborted when the connection closes before the answer has left. (`request.signal` is aborted as soon as a body has
 * been read, so it cannot tell.)
 */
export function clientGone(reply: FastifyReply): AbortSignal {
  const { raw } = reply
  const controller = new AbortController()
  if (raw.destroyed) controller.abort()
  raw.once('close', () => {
    if (!raw.writableFinished) controller.abort()
  })
  return controller.signal
}
