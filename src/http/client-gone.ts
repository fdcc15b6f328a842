import type { FastifyReply } from 'fastify'
import type { GoneSignal } from '../serving/types.ts'

/**
 * Aborted when the connection closes before the answer has left. (`request.signal` is aborted as soon as a body has
 * been read, so it cannot tell.)
 */
export function clientGone({ raw }: FastifyReply): GoneSignal {
  let aborted = raw.destroyed
  const listeners = new Set<() => void>()
  raw.once('close', () => {
    if (raw.writableFinished) return
    aborted = true
    for (const listener of listeners) listener()
  })
  return {
    get aborted() {
      return aborted
    },
    addEventListener: (_type, listener) => listeners.add(listener),
    removeEventListener: (_type, listener) => listeners.delete(listener),
  }
}
