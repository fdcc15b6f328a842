import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Metrics } from '../metrics.ts'

const clientClosedRequest = 499

/** An `onRequest` hook that counts a request when it ends, whichever way. */
export function measure(metrics: Metrics) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    request.receivedAt = performance.now()
    let finished = false
    reply.raw.once('finish', () => {
      finished = true
    })
    // Unlike Fastify's onResponse, 'close' comes for clients that hang up, too.
    reply.raw.once('close', () => {
      const status = finished ? reply.statusCode : clientClosedRequest
      metrics.requestEnded(request.model, status, (performance.now() - request.receivedAt) / 1000)
    })
  }
}
