import { longestDeadline } from '../deadline.ts'
import { type Static, Type } from './type.ts'

/** Of what the protocol calls parameters; unknown ones are allowed, and mean nothing here. */
const open = { additionalProperties: true }

const datatype = Type.String({ enum: ['UINT8', 'FP32', 'BYTES', 'BOOL'] })

export const ServerMetadata = Type.Object(
  { name: Type.String(), version: Type.String(), extensions: Type.Array(Type.String()) },
  { $id: 'ServerMetadata' },
)

const TensorMetadata = Type.Object({
  name: Type.String(),
  datatype,
  shape: Type.Array(Type.Integer({ minimum: -1 })),
})

export const ModelMetadata = Type.Object(
  {
    name: Type.String(),
    versions: Type.Array(Type.String()),
    platform: Type.String(),
    inputs: Type.Array(TensorMetadata),
    outputs: Type.Array(TensorMetadata),
    layers: Type.Array(TensorMetadata, {
      description: 'Outputs of single operations, which are given where a request names them.',
    }),
  },
  { $id: 'ModelMetadata' },
)
export type ModelMetadata = Static<typeof ModelMetadata>

export const ModelPath = Type.Object({ name: Type.String() })
export const VersionPath = Type.Object({ name: Type.String(), version: Type.Integer({ minimum: 1 }) })
export interface ModelPath {
  readonly name: string
  readonly version?: number
}

const dims = Type.Array(Type.Integer({ minimum: -1 }), { description: 'Without the rows.' })

/** The part of Triton's `ModelConfig` that says something of a model here. */
export const ModelConfiguration = Type.Object(
  {
    name: Type.String(),
    platform: Type.String(),
    backend: Type.String(),
    version_policy: Type.Object({ all: Type.Object({}) }),
    max_batch_size: Type.Integer({ minimum: 1, description: 'Rows that one batch takes at most.' }),
    input: Type.Array(
      Type.Object({ name: Type.String(), data_type: Type.String(), format: Type.String(), dims }),
    ),
    output: Type.Array(
      Type.Object({
        name: Type.String(),
        data_type: Type.String(),
        dims,
        reshape: Type.Optional(Type.Object({ shape: dims })),
      }),
    ),
    dynamic_batching: Type.Object({}, { description: 'Rows of several requests share batches.' }),
    model_transaction_policy: Type.Object({ decoupled: Type.Literal(false) }),
  },
  { $id: 'ModelConfiguration' },
)
export type ModelConfiguration = Static<typeof ModelConfiguration>

const Duration = Type.Object({
  count: Type.Integer({ minimum: 0 }),
  ns: Type.Integer({ minimum: 0, description: 'Nanoseconds, all together.' }),
})

const ModelStatistics = Type.Object({
  name: Type.String(),
  version: Type.String(),
  last_inference: Type.Integer({
    minimum: 0,
    description: 'Milliseconds since 1970; 0 where none was asked for.',
  }),
  inference_count: Type.Integer({ minimum: 0, description: 'Rows.' }),
  execution_count: Type.Integer({ minimum: 0, description: 'Batches.' }),
  inference_stats: Type.Object(
    {
      success: Duration,
      fail: Duration,
      queue: Duration,
      compute_input: Duration,
      compute_infer: Duration,
      compute_output: Duration,
      cache_hit: Duration,
      cache_miss: Duration,
    },
    { description: 'Of requests.' },
  ),
  batch_stats: Type.Array(
    Type.Object({
      batch_size: Type.Integer({ minimum: 1 }),
      compute_input: Duration,
      compute_infer: Duration,
      compute_output: Duration,
    }),
  ),
})
export type ModelStatistics = Static<typeof ModelStatistics>

export const Statistics = Type.Object({ model_stats: Type.Array(ModelStatistics) }, { $id: 'Statistics' })

/** Both are optional: an empty body says as much as `{}`. */
export const RepositoryIndexRequest = Type.Object(
  { ready: Type.Optional(Type.Boolean({ description: 'Only versions that answer.' })) },
  open,
)
export type RepositoryIndexRequest = Static<typeof RepositoryIndexRequest>
export const RepositoryChangeRequest = Type.Object({ parameters: Type.Optional(Type.Object({}, open)) }, open)
export type RepositoryChangeRequest = Static<typeof RepositoryChangeRequest>

export const RepositoryIndex = Type.Array(
  Type.Object({
    name: Type.String(),
    version: Type.String(),
    state: Type.String({ enum: ['READY', 'LOADING', 'UNLOADING', 'UNAVAILABLE'] }),
    reason: Type.String({ description: 'Why it is in this state; empty where all is well.' }),
  }),
  { $id: 'RepositoryIndex' },
)
export type RepositoryIndex = Static<typeof RepositoryIndex>

const InferInput = Type.Object({
  name: Type.String(),
  datatype: Type.String(),
  shape: Type.Array(Type.Integer({ minimum: 0 }), { maxItems: 8 }),
  parameters: Type.Optional(
    Type.Object(
      {
        binary_data_size: Type.Optional(
          Type.Integer({ minimum: 0, description: 'Bytes of it behind the JSON; then `data` is absent.' }),
        ),
        bit_packed: Type.Optional(
          Type.Boolean({ description: 'The binary data have one bit an element: 0 is 0, and 1 is 255.' }),
        ),
      },
      open,
    ),
  ),
  data: Type.Optional(Type.Array(Type.Unknown(), { description: 'Flat, or nested as the shape says.' })),
})
export type InferInput = Static<typeof InferInput>

const RequestedOutput = Type.Object({
  name: Type.String(),
  parameters: Type.Optional(
    Type.Object(
      {
        binary_data: Type.Optional(
          Type.Boolean({ description: 'Without it, as `binary_data_output` of the request says.' }),
        ),
        classification: Type.Optional(
          Type.Integer({
            minimum: 0,
            description: 'The so many highest values in its place, as `value:index:label`; 0 for the tensor.',
          }),
        ),
        bit_packed: Type.Optional(
          Type.Boolean({ description: 'Of a binary BOOL output: one bit an element.' }),
        ),
      },
      open,
    ),
  ),
})

export const InferRequest = Type.Object(
  {
    id: Type.Optional(Type.String({ maxLength: 1024 })),
    parameters: Type.Optional(
      Type.Object(
        {
          members: Type.Optional(Type.Integer({ minimum: 1, description: 'How many members answer.' })),
          deadline: Type.Optional(
            Type.Integer({
              minimum: 1,
              maximum: longestDeadline,
              description: 'Milliseconds from the receipt of the request after which nobody waits.',
            }),
          ),
          timeout: Type.Optional(
            Type.Integer({ minimum: 0, description: 'The same in microseconds; 0 is none.' }),
          ),
          binary_data_output: Type.Optional(
            Type.Boolean({ description: 'All outputs in binary, behind the JSON of the answer.' }),
          ),
        },
        open,
      ),
    ),
    inputs: Type.Array(InferInput, {
      minItems: 1,
      maxItems: 1,
      description:
        '`image`: UINT8 [n, height, width, channels], or BYTES [n]: image files, in JSON in base64.',
    }),
    outputs: Type.Optional(Type.Array(RequestedOutput, { maxItems: 64, description: 'Without them: all.' })),
  },
  { $id: 'InferRequest' },
)
export type InferRequest = Static<typeof InferRequest>

const OutputTensor = Type.Object({
  name: Type.String(),
  datatype,
  shape: Type.Array(Type.Integer({ minimum: 0 })),
  parameters: Type.Optional(
    Type.Object({
      binary_data_size: Type.Integer({ minimum: 0, description: 'Bytes of it behind the JSON.' }),
      bit_packed: Type.Optional(Type.Literal(true)),
    }),
  ),
  data: Type.Optional(
    Type.Array(Type.Union([Type.Number(), Type.String(), Type.Boolean()]), {
      description: 'Flat, in row-major order.',
    }),
  ),
})
export type OutputTensor = Static<typeof OutputTensor>

export const InferResponse = Type.Object(
  {
    model_name: Type.String(),
    model_version: Type.String(),
    id: Type.Optional(Type.String()),
    parameters: Type.Object({ digest: Type.String(), backend: Type.String() }),
    outputs: Type.Array(OutputTensor),
  },
  { $id: 'InferResponse' },
)
export type InferResponse = Static<typeof InferResponse>

const binary = {
  description: 'JSON, and behind it the binary data of the tensors, one after the other.',
  type: 'string',
  format: 'binary',
} as const

/** For the documentation: Fastify never sees these bodies as they arrive. */
export const inferBodies = {
  required: true,
  content: {
    'application/json': { schema: Type.Ref('InferRequest#') },
    'application/octet-stream': { schema: binary },
  },
}

export const inferAnswers = {
  'application/json': { schema: Type.Ref('InferResponse#') },
  'application/octet-stream': { schema: binary },
}

/** Of a request, and of its answer. */
export const inferHeaders = {
  'Inference-Header-Content-Length': Type.Optional(
    Type.Integer({ minimum: 0, description: 'Bytes of the JSON, where binary data follow it.' }),
  ),
}
