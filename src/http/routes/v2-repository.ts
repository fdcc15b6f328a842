import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type ErrorCode, XnordError } from '../../errors.ts'
import { holdBody, readDecoded } from '../body.ts'
import type { HttpContext } from '../context.ts'
import { toXnordError } from '../fastify-errors.ts'
import { inferenceStyle, sendError } from '../plugins/errors.ts'
import { keySecurity } from '../plugins/openapi.ts'
import { bodyErrors, inferenceErrors, modelFileErrors, ok } from '../schemas/responses.ts'
import { Type } from '../schemas/type.ts'
import {
  ModelPath,
  RepositoryChangeRequest,
  type RepositoryIndex,
  RepositoryIndexRequest,
} from '../schemas/v2.ts'
import { leaveBodies } from '../v2/json.ts'

const administrationErrors = ['ADMINISTRATION_OFF', 'ADMINISTRATION_DENIED', 'MODEL_UNKNOWN'] as const

/** Bytes of a body: there is little to say. */
const maxBytes = 2 ** 16

/** `POST /v2/repository/index`, and `/v2/repository/models/{name}/load` and `/unload` for administrators. */
export async function repositoryRoutes(app: FastifyInstance, context: HttpContext): Promise<void> {
  const { service, keys } = context
  const parseJson = leaveBodies(app)
  const documented = (schema: object) => ({
    documentedBody: { required: false, content: { 'application/json': { schema } } },
  })
  // There are no tensors here that could be invalid.
  app.setErrorHandler((thrown, request, reply) =>
    sendError(toXnordError(thrown, 'BODY_MALFORMED'), request, reply, inferenceStyle),
  )

  /** Clients send nothing, or an empty body, where they have nothing to say. */
  app.addHook('preValidation', async (request: FastifyRequest, reply: FastifyReply) => {
    const bytes =
      request.body === undefined
        ? Buffer.alloc(0)
        : await readDecoded(request, maxBytes, holdBody(request, reply, context, maxBytes))
    request.body = bytes.length === 0 ? {} : parseJson(request, bytes)
  })

  app.post<{ Body: RepositoryIndexRequest }>(
    '/repository/index',
    {
      config: documented(RepositoryIndexRequest),
      schema: {
        summary: 'List the versions of all models, loaded or not',
        tags: ['inference'],
        body: RepositoryIndexRequest,
        response: { ...ok('The versions.', 'RepositoryIndex'), ...inferenceErrors(...bodyErrors) },
      },
    },
    async ({ body }): Promise<RepositoryIndex> => {
      const entries = await service.index()
      const asked = body.ready === true ? entries.filter(({ state }) => state === 'READY') : entries
      return asked.map(({ name, version, state, reason }) => ({
        name,
        version: String(version),
        state,
        reason,
      }))
    },
  )

  const changes: readonly Change[] = [
    {
      name: 'load',
      summary: 'Load what is new or changed of a model',
      errors: [...administrationErrors, 'PARAMETER_INVALID', ...modelFileErrors],
      run({ name }, body) {
        refuseOverrides(body)
        return service.load(name)
      },
    },
    {
      name: 'unload',
      summary: 'Take a model out of service',
      errors: administrationErrors,
      run: ({ name }) => service.unload(name),
    },
  ]
  for (const { name, summary, errors, run } of changes) {
    app.post<{ Params: ModelPath; Body: RepositoryChangeRequest }>(
      `/repository/models/:name/${name}`,
      {
        config: documented(RepositoryChangeRequest),
        schema: {
          summary,
          tags: ['operation'],
          security: keySecurity,
          params: ModelPath,
          body: RepositoryChangeRequest,
          response: {
            ...ok('It is done.', Type.Object({})),
            ...inferenceErrors(...bodyErrors, ...errors),
          },
        },
        onRequest: keys.requireAdministrator,
      },
      async ({ params, body }) => {
        await run(params, body)
        return {}
      },
    )
  }
}

interface Change {
  readonly name: 'load' | 'unload'
  readonly summary: string
  readonly errors: readonly ErrorCode[]
  readonly run: (path: ModelPath, body: RepositoryChangeRequest) => Promise<void>
}

/**
 * What is served comes from the models folder alone.
 *
 * @throws PARAMETER_INVALID
 */
function refuseOverrides({ parameters = {} }: RepositoryChangeRequest): void {
  const override = Object.keys(parameters).find(name => name === 'config' || name.startsWith('file:'))
  if (override === undefined) return
  throw new XnordError(
    'PARAMETER_INVALID',
    `${JSON.stringify(override)} is not taken: models come from the models folder alone.`,
  )
}
