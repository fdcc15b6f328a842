import type { FastifyInstance } from 'fastify'
import type { HttpContext } from '../context.ts'
import { okOf } from '../schemas/responses.ts'

/** `GET /metrics`, for Prometheus. */
export async function metricsRoute(app: FastifyInstance, { metrics }: HttpContext): Promise<void> {
  app.get(
    '/metrics',
    {
      schema: {
        summary: 'Metrics, in the text format of Prometheus',
        tags: ['operation'],
        response: okOf('All metrics.', { 'text/plain': { schema: { type: 'string' } } }),
      },
    },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.render()),
  )
}
