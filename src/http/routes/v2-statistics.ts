import type { FastifyInstance } from 'fastify'
import type { HttpContext } from '../context.ts'
import { inferenceErrors, ok } from '../schemas/responses.ts'
import type { ModelPath } from '../schemas/v2.ts'
import { findErrors, modelPaths } from './v2-models.ts'

/** `GET /v2/models/stats`, and `GET /v2/models/{name}[/versions/{version}]/stats`. */
export async function statisticsRoutes(
  app: FastifyInstance,
  { service, statistics }: HttpContext,
): Promise<void> {
  const counts = ok('What was counted since the start.', 'Statistics')

  app.get(
    '/models/stats',
    {
      schema: {
        summary: 'Count what all models did',
        tags: ['inference'],
        response: { ...counts, ...inferenceErrors() },
      },
    },
    async () => ({ model_stats: statistics.of(service.models()) }),
  )

  for (const { path, params } of modelPaths) {
    app.get<{ Params: ModelPath }>(
      `${path}/stats`,
      {
        schema: {
          summary: 'Count what a model did',
          tags: ['inference'],
          params,
          response: { ...counts, ...inferenceErrors(...findErrors) },
        },
      },
      async ({ params: { name, version } }) => {
        const found = service.find(name, version)
        const versions =
          version === undefined ? service.models().filter(model => model.name === name) : [found]
        return { model_stats: statistics.of(versions) }
      },
    )
  }
}
