import type { FastifyInstance } from 'fastify'
import { XnordError } from '../../errors.ts'
import type { HttpContext } from '../context.ts'
import { notReady, ok } from '../schemas/responses.ts'
import { Type } from '../schemas/type.ts'

const flag = (name: string) => Type.Object({ [name]: Type.Literal(true) })

/** `GET /v2/health/live` and `/v2/health/ready`. */
export async function healthRoutes(app: FastifyInstance, context: HttpContext): Promise<void> {
  app.get(
    '/health/live',
    {
      schema: {
        summary: 'Does the process answer?',
        tags: ['operation'],
        response: ok('Yes.', flag('live')),
      },
    },
    async () => ({ live: true }),
  )

  app.get(
    '/health/ready',
    {
      schema: {
        summary: 'Should requests be sent here?',
        tags: ['operation'],
        response: { ...ok('Yes.', flag('ready')), ...notReady },
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
