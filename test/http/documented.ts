import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

interface Operation {
  readonly summary?: string
  readonly responses: Readonly<Record<string, Documented>>
}

interface Documented {
  readonly description: string
  readonly headers?: object
  readonly content?: object
}

interface OpenapiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

/** Headers that tell something of what was asked, and not of how it was sent. */
const telling = ['inference-header-content-length', 'retry-after', 'server-timing', 'www-authenticate']

/**
 * Compares every answer of the app with its OpenAPI document: status, media type, headers, and the code of an error.
 *
 * @returns what the document lacks, growing while the app answers
 */
export function findUndocumented(app: FastifyInstance): ReadonlySet<string> {
  const undocumented = new Set<string>()
  app.addHook('onResponse', async (request, reply) => {
    const { paths } = app.swagger() as unknown as OpenapiDocument
    const path = request.routeOptions.url?.replaceAll(/:(\w+)/g, '{$1}')
    const method = request.method.toLowerCase()
    const operation = path === undefined ? undefined : paths[path]?.[method]
    // Routes of a test's own have no summary.
    if (operation?.summary === undefined) return
    for (const fault of faultsOf(operation, request, reply)) undocumented.add(`${method} ${path}: ${fault}`)
  })
  return undocumented
}

function faultsOf(
  { responses }: Operation,
  { code }: FastifyRequest,
  reply: FastifyReply,
): readonly string[] {
  const status = reply.statusCode
  const response = responses[status]
  if (response === undefined) return [`status ${status}`]
  const type = String(reply.getHeader('content-type')).split(';')[0]!
  const documented = Object.keys(response.headers ?? {}).map(name => name.toLowerCase())
  return [
    ...(type in (response.content ?? {}) ? [] : [`status ${status}: ${type}`]),
    ...(code === null || response.description.includes(`\`${code}\``) ? [] : [`status ${status}: ${code}`]),
    ...telling
      .filter(name => reply.hasHeader(name) && !documented.includes(name))
      .map(name => `status ${status}: the header ${name}`),
  ]
}
