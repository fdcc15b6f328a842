import type { FastifyInstance } from 'fastify'
import type { Config } from '../../config.ts'
import type { ServedModel, Service } from '../../serving/types.ts'
import type { HttpContext } from '../context.ts'
import { inferenceErrorResponse } from '../schemas/problem.ts'
import { type ModelMetadata, ModelPath, VersionPath } from '../schemas/v2.ts'
import { configurationOf } from '../v2/configuration.ts'
import { hiddenOutputMetadata, outputMetadata } from '../v2/outputs.ts'
import { version } from '../version.ts'
import { requireReady } from './v2-health.ts'

/** Beyond the protocol itself, by the names that Triton gives them; the last is our own. docs/http.md describes each. */
function extensionsOf({ adminKeys, adminKeysFile }: Config): readonly string[] {
  return [
    'binary_tensor_data',
    'classification',
    'model_configuration',
    'statistics',
    // Without administrators nobody can load or unload.
    ...(adminKeys.length + adminKeysFile.length > 0 ? ['model_repository'] : []),
    'bit_packed_tensor_data',
  ]
}

/** `GET /v2`, and `GET /v2/models/{name}[/versions/{version}]` with `/ready` and `/config`. */
export async function metadataRoutes(app: FastifyInstance, context: HttpContext): Promise<void> {
  const { service, config } = context
  const extensions = extensionsOf(config)

  app.get(
    '',
    {
      schema: {
        summary: 'Describe the server',
        tags: ['inference'],
        response: { 200: { $ref: 'ServerMetadata#' }, default: inferenceErrorResponse },
      },
    },
    async () => ({ name: 'xnord', version, extensions }),
  )

  for (const { path, params } of modelPaths) {
    app.get<{ Params: ModelPath }>(
      path,
      {
        schema: {
          summary: 'Describe a model',
          tags: ['inference'],
          params,
          response: { 200: { $ref: 'ModelMetadata#' }, default: inferenceErrorResponse },
        },
      },
      async ({ params }) => describe(service.find(params.name, params.version), service),
    )

    app.get<{ Params: ModelPath }>(
      `${path}/config`,
      {
        schema: {
          summary: "Describe a model by Triton's model configuration",
          tags: ['inference'],
          params,
          response: { 200: { $ref: 'ModelConfiguration#' }, default: inferenceErrorResponse },
        },
      },
      async ({ params }) => configurationOf(service.find(params.name, params.version)),
    )

    app.get<{ Params: ModelPath }>(
      `${path}/ready`,
      {
        schema: {
          summary: 'Does this model answer?',
          tags: ['inference'],
          params,
          response: {
            200: { type: 'object', properties: {}, description: 'Yes.' },
            default: inferenceErrorResponse,
          },
        },
      },
      async ({ params }) => {
        const { name } = service.find(params.name, params.version)
        requireReady(context)
        return { name, ready: true }
      },
    )
  }
}

/** A model's address below `/v2`, without and with its version. */
export const modelPaths = [
  { path: '/models/:name', params: ModelPath },
  { path: '/models/:name/versions/:version', params: VersionPath },
] as const

function describe(model: ServedModel, service: Service): ModelMetadata {
  const { height, width, channels } = model.input
  return {
    name: model.name,
    versions: service
      .models()
      .filter(({ name }) => name === model.name)
      .map(({ version }) => String(version)),
    platform: 'xnord',
    inputs: [{ name: 'image', datatype: 'UINT8', shape: [-1, height, width, channels] }],
    outputs: outputMetadata(model),
    layers: hiddenOutputMetadata(model),
  }
}
