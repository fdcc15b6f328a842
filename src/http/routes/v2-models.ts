import type { FastifyInstance } from 'fastify'
import type { Config } from '../../config.ts'
import type { ServedModel, Service } from '../../serving/types.ts'
import type { HttpContext } from '../context.ts'
import { inferenceErrors, ok } from '../schemas/responses.ts'
import { Type } from '../schemas/type.ts'
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
        response: { ...ok('Its name, version and extensions.', 'ServerMetadata'), ...inferenceErrors() },
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
          response: { ...ok('Its inputs and outputs.', 'ModelMetadata'), ...inferenceErrors(...findErrors) },
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
          response: { ...ok('Its configuration.', 'ModelConfiguration'), ...inferenceErrors(...findErrors) },
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
            ...ok('Yes.', Type.Object({ name: Type.String(), ready: Type.Literal(true) })),
            ...inferenceErrors(...findErrors, 'NOT_READY', 'SHUTTING_DOWN'),
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

/** Of a model's address. */
export const findErrors = ['PARAMETER_INVALID', 'MODEL_UNKNOWN', 'VERSION_UNKNOWN'] as const

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
