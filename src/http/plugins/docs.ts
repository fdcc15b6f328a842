import swagger, { type StaticDocumentSpec } from '@fastify/swagger'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { XnordError } from '../../errors.ts'
import { addSecurityHeaders, documentHeaders } from './security-headers.ts'

const prefix = '/docs'

/**
 * The documentation's page, at `/docs`. What shows it is loaded when it is first asked for, as an app of its own: few
 * servers are ever asked, and it would be a tenth of what each start loads.
 */
export async function docs(app: FastifyInstance): Promise<void> {
  addSecurityHeaders(app, documentHeaders)
  let shown: Promise<FastifyInstance> | null = null

  async function show(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    shown ??= createDocs(app)
    const { url } = request
    const method = request.method as 'GET' | 'HEAD'
    const answer = await (await shown).inject({ method, url, headers: request.headers })
    if (answer.statusCode === 404) throw new XnordError('ROUTE_UNKNOWN', `${method} ${url.split('?')[0]}`)
    const { connection: _, date: __, 'transfer-encoding': ___, ...headers } = answer.headers
    return reply.code(answer.statusCode).headers(headers).send(answer.rawPayload)
  }
  for (const url of [prefix, `${prefix}/*`]) app.get(url, { schema: { hide: true } }, show)
}

async function createDocs(app: FastifyInstance): Promise<FastifyInstance> {
  const { default: swaggerUi } = await import('@fastify/swagger-ui')
  const shown = Fastify({ routerOptions: { ignoreTrailingSlash: true } })
  const document = app.swagger() as StaticDocumentSpec['document']
  await shown.register(swagger, { mode: 'static', specification: { document } })
  await shown.register(swaggerUi, { routePrefix: prefix })
  await shown.ready()
  return shown
}
