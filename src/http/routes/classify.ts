import multipart from '@fastify/multipart'
import type { FastifyInstance } from 'fastify'
import { writeComparison, writePrediction } from '../answers.ts'
import { answerRows, type Variant } from '../classification.ts'
import type { HttpContext } from '../context.ts'
import { imageTypes, pixelType } from '../media-types.ts'
import { PredictQuery, predictBody } from '../schemas/predict.ts'
import { problemResponse } from '../schemas/problem.ts'
import type { RawBody } from '../uploads.ts'

interface RouteVariant extends Variant {
  readonly path: string
  readonly summary: string
  readonly answerSchema: string
}

const predict: RouteVariant = {
  path: '/predict',
  summary: 'Classify images',
  answerSchema: 'PredictionAnswer',
  baseline: false,
  write: writePrediction,
}

const compare: RouteVariant = {
  path: '/compare',
  summary: 'Classify images by the discrete network and by its float baseline, side by side',
  answerSchema: 'ComparisonAnswer',
  baseline: true,
  write: writeComparison,
}

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
  app.addContentTypeParser([...imageTypes], (_request, stream, done) =>
    done(null, { kind: 'file', stream } satisfies RawBody),
  )
  app.addContentTypeParser(pixelType, (_request, stream, done) =>
    done(null, { kind: 'pixels', stream } satisfies RawBody),
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
        response: { 200: { $ref: `${variant.answerSchema}#` }, default: problemResponse },
      },
      config: { documentedBody: predictBody, predicts: true },
    },
    (request, reply) => answerRows(request, reply, context, variant),
  )
}
