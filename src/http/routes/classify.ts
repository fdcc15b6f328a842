import multipart from '@fastify/multipart'
import type { FastifyInstance } from 'fastify'
import { type ErrorCode, XnordError } from '../../errors.ts'
import { writeBaseline, writeComparison, writePrediction } from '../answers.ts'
import { answerRows, type Variant } from '../classification.ts'
import type { HttpContext } from '../context.ts'
import { deadlineHeader } from '../deadline.ts'
import { imageTypes, pixelType } from '../media-types.ts'
import { CompareQuery, PredictQuery, predictBody } from '../schemas/predict.ts'
import { bodyErrors, ok, predictionErrors, problems } from '../schemas/responses.ts'
import { type TSchema, Type } from '../schemas/type.ts'
import type { RawBody } from '../uploads.ts'

interface ClassifyRoute {
  readonly path: string
  readonly summary: string
  readonly querystring: TSchema
  readonly answer: TSchema
  /** @throws PARAMETER_INVALID */
  readonly variantOf: (query: PredictQuery) => Variant
}

const predict: ClassifyRoute = {
  path: '/predict',
  summary: 'Classify images by the discrete network, or by its float baseline',
  querystring: PredictQuery,
  answer: Type.Union([Type.Ref('PredictionAnswer#'), Type.Ref('BaselinePredictionAnswer#')]),
  variantOf({ network, members }) {
    if (network !== 'baseline') return { networks: 'discrete', write: writePrediction }
    if (members === undefined) return { networks: 'baseline', write: writeBaseline }
    throw new XnordError('PARAMETER_INVALID', 'The baseline has no members: leave out members, or network.')
  },
}

const compare: ClassifyRoute = {
  path: '/compare',
  summary: 'Classify images by the discrete network and by its float baseline, side by side',
  querystring: CompareQuery,
  answer: Type.Ref('ComparisonAnswer#'),
  variantOf: () => ({ networks: 'both', write: writeComparison }),
}

const classifyErrors: readonly ErrorCode[] = [
  'MODEL_AMBIGUOUS',
  'BASELINE_ABSENT',
  'CONTENT_TYPE_UNSUPPORTED',
  'TOO_MANY_PARTS',
  'FILE_MISSING',
]

/** `POST /predict` and `POST /compare`: they differ in who answers and in how a row is written. */
export async function classifyRoutes(app: FastifyInstance, context: HttpContext): Promise<void> {
  const { config } = context
  app.removeAllContentTypeParsers()
  await app.register(multipart, {
    throwFileSizeLimit: false,
    limits: {
      files: config.maxFiles,
      fileSize: config.maxFileBytes,
      // One field is read, to be named in the error: parameters go into the query.
      fields: 1,
      fieldSize: 1024,
      parts: config.maxFiles + 1,
    },
  })
  app.addContentTypeParser([...imageTypes], (_request, _stream, done) =>
    done(null, { kind: 'file' } satisfies RawBody),
  )
  app.addContentTypeParser(pixelType, (_request, _stream, done) =>
    done(null, { kind: 'pixels' } satisfies RawBody),
  )
  for (const route of [predict, compare]) addRoute(app, context, route)
}

function addRoute(app: FastifyInstance, context: HttpContext, route: ClassifyRoute): void {
  app.post<{ Querystring: PredictQuery }>(
    route.path,
    {
      schema: {
        summary: route.summary,
        tags: ['predict'],
        querystring: route.querystring,
        response: {
          ...ok('One entry a row; those that failed alone have an error in its place.', route.answer, {
            'Server-Timing': Type.String({
              description: 'Milliseconds of each stage, the longest over the rows.',
            }),
          }),
          ...problems(...bodyErrors, ...classifyErrors, ...predictionErrors),
        },
      },
      config: { documentedBody: predictBody, documentedHeaders: deadlineHeader, predicts: true },
    },
    async (request, reply) => answerRows(request, reply, context, route.variantOf(request.query)),
  )
}
