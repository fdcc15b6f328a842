import type { FastifyInstance } from 'fastify'
import { XnordError } from '../../errors.ts'
import type { HttpContext } from '../context.ts'
import { inferenceErrorResponse } from '../schemas/problem.ts'

const ok = { type: 'object', properties: {}, description: 'Yes.' }

/** `GET /v2/health/live` and `/v2/health/ready`. */
export async function healthRoutes(app: FastifyInstance, context: HttpContext): Promise<void> {
  app.get(
    '/health/live',
    { schema: { summary: 'Does the process answer?', tags: ['operation'], response: { 200: ok } } },
    async () => ({ live: true }),
  )

  app.get(
    '/health/ready',
    {
      schema: {
        summary: 'Should requests be sent here?',
        tags: ['operation'],
        response: { 200: ok, 503: inferenceErrorResponse },
      },
    },
    async () => {
      requireReady(context)
      return { ready: true }
    },
  )
}

/** @throws SHUTTING_DOWN, NOT_READY */
export function requireReady({ draining, service }: HttpContext): void {
  if (draining()) throw new XnordError('SHUTTING_DOWN', 'A signal to end has come.')
  if (!service.state().ready) throw new XnordError('NOT_READY', 'All workers have died, and none can start.')
}
