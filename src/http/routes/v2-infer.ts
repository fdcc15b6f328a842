import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { XnordError } from '../../errors.ts'
import type { Prediction, RowAnswer } from '../../serving/types.ts'
import { holdBody, readAll, type UnreadBody } from '../body.ts'
import { clientGone } from '../client-gone.ts'
import type { HttpContext } from '../context.ts'
import { isNestedDeeper } from '../json-depth.ts'
import { measure } from '../plugins/measure.ts'
import { inferenceErrorResponse } from '../schemas/problem.ts'
import type { InferRequest, InferResponse, ModelPath } from '../schemas/v2.ts'
import { readInput } from '../v2/input.ts'
import { outputNames, refuseExtensions, writeOutput } from '../v2/outputs.ts'
import { modelPaths } from './v2-models.ts'

/** Of JSON: twice what the protocol itself needs. */
const maxDepth = 16

/** `POST /v2/models/{name}[/versions/{version}]/infer`, with tensors in JSON. */
export async function inferRoutes(app: FastifyInstance, context: HttpContext): Promise<void> {
  const { config, metrics, service } = context
  app.removeAllContentTypeParsers()
  // The protocol is JSON whatever the content type says, and clients often say nothing.
  app.addContentTypeParser('*', (_request, stream, done) => done(null, { stream } satisfies UnreadBody))
  const parseJson = app.getDefaultJsonParser('error', 'error')

  /** Finds the model first: a body that nobody can answer is not worth its reading. */
  async function findAndRead(
    request: FastifyRequest<{ Params: ModelPath }>,
    reply: FastifyReply,
  ): Promise<void> {
    // What is wrong with them is said by the validation, which comes next.
    if (!request.validateInput(request.params, 'params')) return
    request.model = service.find(request.params.name, request.params.version)
    await readJson(request, reply)
  }

  async function readJson(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (request.body === undefined) throw noBody()
    const { stream } = request.body as UnreadBody
    const take = holdBody(request, reply, context, config.maxJsonBytes)
    const bytes = await readAll(stream, config.maxJsonBytes, take)
    if (bytes.length === 0) throw noBody()
    if (isNestedDeeper(bytes, maxDepth)) {
      throw new XnordError('TENSOR_INVALID', `The JSON is nested more than ${maxDepth} deep.`)
    }
    request.body = await new Promise((resolve, reject) => {
      void parseJson(request, bytes.toString(), (error, value) =>
        error === null ? resolve(value) : reject(error),
      )
    })
  }

  for (const { path, params } of modelPaths) {
    app.post<{ Params: ModelPath; Body: InferRequest }>(
      `${path}/infer`,
      {
        schema: {
          summary: 'Classify a tensor of images',
          tags: ['inference'],
          params,
          body: { $ref: 'InferRequest#' },
          response: { 200: { $ref: 'InferResponse#' }, default: inferenceErrorResponse },
        },
        onRequest: [measure(metrics), refuseBinaryTensors],
        preValidation: findAndRead,
      },
      (request, reply) => infer(request, reply, context),
    )
  }
}

function noBody(): XnordError {
  return new XnordError('TENSOR_INVALID', 'The request has no body; a JSON object with `inputs` is expected.')
}

async function refuseBinaryTensors(request: FastifyRequest): Promise<void> {
  if (request.headers['inference-header-content-length'] === undefined) return
  throw new XnordError(
    'TENSOR_INVALID',
    'The binary tensor extension is not offered; tensors are taken as JSON.',
  )
}

async function infer(
  request: FastifyRequest<{ Params: ModelPath; Body: InferRequest }>,
  reply: FastifyReply,
  { service, config, metrics }: HttpContext,
): Promise<FastifyReply> {
  const { body } = request
  const model = request.model!
  const names = outputNames(body.outputs)
  refuseExtensions(body)
  const rows = readInput(body.inputs[0]!, model, {
    maxFileBytes: config.maxFileBytes,
    maxPixelBytes: config.maxJsonBytes,
  })
  const members = body.parameters?.members ?? model.defaultMembers
  const answers = await service.predict({ model, rows, members, baseline: false, signal: clientGone(reply) })
  const predictions = answers.map(predictionOf)

  const started = performance.now()
  const response: InferResponse = {
    model_name: model.name,
    model_version: String(model.version),
    ...(body.id !== undefined && { id: body.id }),
    parameters: { digest: model.digest, backend: model.backend },
    outputs: names.map(name => writeOutput(name, predictions, members, model)),
  }
  const text = JSON.stringify(response)
  metrics.encoded(model, (performance.now() - started) / 1000)
  return reply.type('application/json').send(text)
}

/** A tensor has no place for the error of one row: the first one fails the request. */
function predictionOf(answer: RowAnswer, row: number): Prediction {
  if (answer.ok) return answer.prediction
  throw new XnordError(answer.error.code, `image[${row}]: ${answer.error.detail}`)
}
