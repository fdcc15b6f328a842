import { type Static, Type } from './type.ts'

const ModelVersion = Type.Object({
  version: Type.Integer({ minimum: 1 }),
  digest: Type.String({ description: 'SHA-256 of the model file.' }),
  backend: Type.String(),
  input: Type.Object({
    height: Type.Integer(),
    width: Type.Integer(),
    channels: Type.Integer({ enum: [1, 3] }),
    resize: Type.String({ enum: ['stretch', 'contain', 'cover'] }),
  }),
  labels: Type.Array(Type.String()),
  members: Type.Integer({ minimum: 1, description: 'How many members it has.' }),
  defaultMembers: Type.Integer({ minimum: 1, description: 'How many answer where a request does not say.' }),
  baseline: Type.Boolean({
    description: 'Whether it has a float twin: for /compare, and for /predict with network=baseline.',
  }),
  bytes: Type.Object({ model: Type.Integer(), baseline: Type.Union([Type.Integer(), Type.Null()]) }),
  wordOperations: Type.Number({ description: 'Cost of one row by one member, in 64-bit word operations.' }),
  provenance: Type.Object(
    {},
    {
      additionalProperties: true,
      description: "The model's own account of its training, accuracy included.",
    },
  ),
})

export const Model = Type.Object(
  {
    name: Type.String(),
    versions: Type.Array(ModelVersion, {
      description: 'Ascending; the last one answers where none is named.',
    }),
  },
  { $id: 'Model' },
)

export type Model = Static<typeof Model>

export const ModelList = Type.Object({ models: Type.Array(Type.Ref('Model#')) }, { $id: 'ModelList' })

export const ModelParams = Type.Object({ name: Type.String() })
