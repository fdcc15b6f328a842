import { longestDeadline } from '../deadline.ts'
import { type Static, type TProperties, Type } from './type.ts'

const query = {
  model: Type.Optional(
    Type.String({ description: 'Without it: the only model that is loaded, else the default model.' }),
  ),
  version: Type.Optional(Type.Integer({ minimum: 1, description: 'Without it: the highest.' })),
  top: Type.Optional(
    Type.Integer({
      minimum: 1,
      description:
        'How many of the most probable classes are listed; without it 5, or all where there are fewer.',
    }),
  ),
  members: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: 'How many members answer; without it as many as the model states.',
    }),
  ),
  deadline: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: longestDeadline,
      description: 'Milliseconds from the receipt of the request after which nobody waits for the answer.',
    }),
  ),
}

export const PredictQuery = Type.Object(
  {
    ...query,
    network: Type.Optional(
      Type.Enum(['discrete', 'baseline'], {
        type: 'string',
        description:
          'Who answers: the discrete network, or its float baseline, which has no members. Without it `discrete`.',
      }),
    ),
  },
  { additionalProperties: false },
)

export type PredictQuery = Static<typeof PredictQuery>

export const CompareQuery = Type.Object(query, { additionalProperties: false })

const binary = { type: 'string', format: 'binary' } as const

/** For the documentation: Fastify never sees these bodies parsed. */
export const predictBody = {
  required: true,
  content: {
    'multipart/form-data': {
      schema: {
        type: 'object',
        properties: { file: { type: 'array', items: binary } },
        description: 'One image a part, PNG, JPEG or WebP; the parts may have any names.',
      },
    },
    'image/png': { schema: binary },
    'image/jpeg': { schema: binary },
    'image/webp': { schema: binary },
    'application/octet-stream': {
      schema: {
        ...binary,
        description: "Raw pixels in the model's shape, row after row: height × width × channels bytes each.",
      },
    },
  },
}

const probability = Type.Number({ minimum: 0, maximum: 1 })

const ClassEntry = {
  label: Type.String(),
  index: Type.Integer({ minimum: 0 }),
  probability,
}

const Classification = {
  ...ClassEntry,
  top: Type.Array(Type.Object(ClassEntry, { additionalProperties: false }), {
    description: 'The most probable classes, falling.',
  }),
}

const Discrete = {
  ...Classification,
  uncertainty: Type.Object(
    {
      entropy: Type.Number({ minimum: 0, description: 'Of the mean distribution, in nats.' }),
      mutualInformation: Type.Number({ minimum: 0, description: 'What the members disagree on, in nats.' }),
      agreement: Type.Number({
        minimum: 0,
        maximum: 1,
        description: "Share of the members whose own first class is the answer's.",
      }),
      members: Type.Integer({ minimum: 1 }),
    },
    { additionalProperties: false },
  ),
}

const name = Type.Union([Type.String(), Type.Null()], { description: "The part's file name." })
const milliseconds = Type.Number({ minimum: 0, description: "The batch's time, divided by its rows." })

export const Prediction = Type.Object(
  { name, ...Discrete },
  { $id: 'Prediction', additionalProperties: false },
)

export const Comparison = Type.Object(
  {
    name,
    discrete: Type.Object({ ...Discrete, milliseconds }, { additionalProperties: false }),
    baseline: Type.Object({ ...Classification, milliseconds }, { additionalProperties: false }),
  },
  { $id: 'Comparison', additionalProperties: false },
)

export const BaselinePrediction = Type.Object(
  { name, ...Classification },
  { $id: 'BaselinePrediction', additionalProperties: false },
)

/** An answer whose rows are of the schema called so, or failed, and that has more members than all have. */
function answerOf<More extends TProperties>(
  row: 'Prediction' | 'BaselinePrediction' | 'Comparison',
  more: More,
) {
  return Type.Object(
    {
      model: Type.String(),
      version: Type.Integer({ minimum: 1 }),
      digest: Type.String({ description: 'SHA-256 of the model file.' }),
      backend: Type.String({ description: 'Whose kernels run the discrete network.' }),
      ...more,
      predictions: Type.Array(Type.Union([Type.Ref(`${row}#`), Type.Ref('RowError#')]), {
        description: 'One a row, in the order of the parts.',
      }),
    },
    { $id: `${row}Answer`, additionalProperties: false },
  )
}

export const PredictionAnswer = answerOf('Prediction', {})
export const BaselinePredictionAnswer = answerOf('BaselinePrediction', { network: Type.Literal('baseline') })
export const ComparisonAnswer = answerOf('Comparison', {})
