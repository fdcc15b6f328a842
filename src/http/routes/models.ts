import type { FastifyInstance } from 'fastify'
import type { ServedModel } from '../../serving/types.ts'
import type { HttpContext } from '../context.ts'
import { type Model, ModelParams } from '../schemas/models.ts'
import { ok, problems } from '../schemas/responses.ts'
import type { Static } from '../schemas/type.ts'

/** `GET /models` and `GET /models/{name}`: what is loaded. */
export async function modelRoutes(app: FastifyInstance, { service }: HttpContext): Promise<void> {
  app.get(
    '/models',
    {
      schema: {
        summary: 'List the models',
        tags: ['models'],
        response: { ...ok('Every model that is served.', 'ModelList'), ...problems() },
      },
    },
    async () => {
      const names = new Set(service.models().map(({ name }) => name))
      return { models: Array.from(names, name => describe(name, service.models())) }
    },
  )

  app.get<{ Params: Static<typeof ModelParams> }>(
    '/models/:name',
    {
      schema: {
        summary: 'Describe a model',
        tags: ['models'],
        params: ModelParams,
        response: { ...ok('Its versions.', 'Model'), ...problems('MODEL_UNKNOWN') },
      },
    },
    async request => describe(service.find(request.params.name).name, service.models()),
  )
}

function describe(name: string, models: readonly ServedModel[]): Model {
  const versions = models
    .filter(model => model.name === name)
    .map(({ name: _, hasBaseline, labels, provenance, ...version }) => ({
      version: version.version,
      digest: version.digest,
      backend: version.backend,
      input: version.input,
      labels: [...labels],
      members: version.members,
      defaultMembers: version.defaultMembers,
      baseline: hasBaseline,
      bytes: version.bytes,
      wordOperations: version.wordOperations,
      provenance,
    }))
  return { name, versions }
}
