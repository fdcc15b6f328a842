import { type Static, Type } from 'typebox'

/** Unknown parameters are allowed by the protocol, and mean nothing here. */
const Parameters = Type.Object({}, { additionalProperties: true })

const datatype = Type.String({ enum: ['UINT8', 'FP32', 'BYTES'] })

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

const InferInput = Type.Object({
  name: Type.String(),
  datatype: Type.String(),
  shape: Type.Array(Type.Integer({ minimum: 0 }), { maxItems: 8 }),
  parameters: Type.Optional(Parameters),
  data: Type.Array(Type.Unknown(), { description: 'Flat, or nested as the shape says.' }),
})
export type InferInput = Static<typeof InferInput>

export const InferRequest = Type.Object(
  {
    id: Type.Optional(Type.String({ maxLength: 1024 })),
    parameters: Type.Optional(
      Type.Object(
        {
          members: Type.Optional(Type.Integer({ minimum: 1, description: 'How many members answer.' })),
        },
        { additionalProperties: true },
      ),
    ),
    inputs: Type.Array(InferInput, {
      minItems: 1,
      maxItems: 1,
      description: '`image`: UINT8 [n, height, width, channels], or BYTES [n]: image files in base64.',
    }),
    outputs: Type.Optional(
      Type.Array(Type.Object({ name: Type.String(), parameters: Type.Optional(Parameters) }), {
        maxItems: 16,
        description: 'Without them: all.',
      }),
    ),
  },
  { $id: 'InferRequest' },
)
export type InferRequest = Static<typeof InferRequest>

const OutputTensor = Type.Object({
  name: Type.String(),
  datatype,
  shape: Type.Array(Type.Integer({ minimum: 0 })),
  data: Type.Array(Type.Union([Type.Number(), Type.String()]), { description: 'Flat, in row-major order.' }),
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
