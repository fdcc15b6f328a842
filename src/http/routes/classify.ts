import multipart from '@fastify/multipart'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { ErrorCode } from '../../errors.ts'
import { writeComparison, writePrediction } from '../answers.ts'
import { answerRows, type Variant } from '../classification.ts'
import type { HttpContext } from '../context.ts'
import { deadlineHeader } from '../deadline.ts'
import { imageTypes, pixelType } from '../media-types.ts'
import { PredictQuery, predictBody } from '../schemas/predict.ts'
import { bodyErrors, ok, predictionErrors, problems } from '../schemas/responses.ts'
import type { RawBody } from '../uploads.ts'

interface RouteVariant extends Variant {
  readonly path: string
  readonly summary: string
  readonly answerSchema: string
  /** Beyond those of both. */
  readonly errors: readonly ErrorCode[]
}

const predict: RouteVariant = {
  path: '/predict',
  summary: 'Classify images',
  answerSchema: 'PredictionAnswer',
  errors: [],
  networks: 'discrete',
  write: writePrediction,
}

const compare: RouteVariant = {
  path: '/compare',
  summary: 'Classify images by the discrete network and by its float baseline, side by side',
  answerSchema: 'ComparisonAnswer',
  errors: ['BASELINE_ABSENT'],
  networks: 'both',
  write: writeComparison,
}

const classifyErrors: readonly ErrorCode[] = [
  'MODEL_AMBIGUOUS',
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
  for (const variant of [predict, compare]) addRoute(app, context, variant)
}

function addRoute(app: FastifyInstance, context: HttpContext, variant: RouteVariant): void {
  app.post<{ Querystring: PredictQuery }>(
    variant.path,
    {
      schema: {
        summary: variant.summary,
        tags: ['predict'],
        querystring: PredictQuery,
        response: {
          ...ok(
            'One entry a row; those that failed alone have an error in its place.',
            variant.answerSchema,
            {
              'Server-Timing': Type.String({
                description: 'Milliseconds of each stage, the longest over the rows.',
              }),
            },
          ),
          ...problems(...bodyErrors, ...classifyErrors, ...predictionErrors, ...variant.errors),
        },
      },
      config: { documentedBody: predictBody, documentedHeaders: deadlineHeader, predicts: true },
    },
    (request, reply) => answerRows(request, reply, context, variant),
  )
}
