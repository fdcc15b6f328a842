import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { XnordError } from '../../errors.ts'
import { layerBytes } from '../../serving/layers.ts'
import type { RowAnswer } from '../../serving/types.ts'
import { arrivedBy, holdAnswer, holdBody, readDecoded, type Take } from '../body.ts'
import { clientGone } from '../client-gone.ts'
import type { HttpContext } from '../context.ts'
import { deadlineHeader, deadlineOf } from '../deadline.ts'
import { bodyErrors, inferenceErrors, okOf, predictionErrors } from '../schemas/responses.ts'
import { type InferRequest, inferAnswers, inferBodies, inferHeaders, type ModelPath } from '../schemas/v2.ts'
import { longestStages } from '../stages.ts'
import { writeAnswer } from '../v2/answer.ts'
import { readInput } from '../v2/input.ts'
import { leaveBodies } from '../v2/json.ts'
import { writtenBytes } from '../v2/layers.ts'
import { headerLengthOf, readMessage } from '../v2/message.ts'
import { type Answered, type AskedOutput, askedOutputs } from '../v2/outputs.ts'
import { modelPaths } from './v2-models.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** What follows the JSON of an inference request, and what counts further bytes that it needs. */
    tensorData: { readonly binary: Uint8Array; readonly take: Take } | null
  }
}

/** `POST /v2/models/{name}[/versions/{version}]/infer`, with tensors in JSON or in binary. */
export async function inferRoutes(app: FastifyInstance, context: HttpContext): Promise<void> {
  const { config, service } = context
  const parseJson = leaveBodies(app)
  app.decorateRequest('tensorData', null)

  /** Finds the model first: a body that nobody can answer is not worth its reading. */
  async function findAndRead(
    request: FastifyRequest<{ Params: ModelPath }>,
    reply: FastifyReply,
  ): Promise<void> {
    // What is wrong with them is said by the validation, which comes next.
    if (!request.validateInput(request.params, 'params')) return
    const model = service.find(request.params.name, request.params.version)
    request.model = model
    if (request.body === undefined) throw noBody()
    const headerLength = headerLengthOf(request.headers)
    const limit = headerLength === null ? config.maxJsonBytes : config.maxBodyBytes
    const take = holdBody(request, reply, context, limit)
    const deadline = deadlineOf(request)
    const reading = readDecoded(request, limit, take)
    const bytes = await (deadline === undefined ? reading : arrivedBy(deadline, request, reading))
    if (bytes.length === 0) throw noBody()
    const { head, binary } = readMessage(bytes, headerLength, config.maxJsonBytes, model, json =>
      parseJson(request, json),
    )
    request.body = head
    request.tensorData = { binary, take }
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
          response: {
            ...okOf('The outputs, in JSON or in binary.', inferAnswers, inferHeaders),
            ...inferenceErrors('TENSOR_INVALID', 'ANSWER_TOO_LARGE', ...bodyErrors, ...predictionErrors),
          },
        },
        config: {
          predicts: true,
          documentedBody: inferBodies,
          documentedHeaders: { ...inferHeaders, ...deadlineHeader },
        },
        preValidation: findAndRead,
      },
      (request, reply) => infer(request, reply, context),
    )
  }
}

function noBody(): XnordError {
  return new XnordError('TENSOR_INVALID', 'The request has no body; a JSON object with `inputs` is expected.')
}

async function infer(
  request: FastifyRequest<{ Params: ModelPath; Body: InferRequest }>,
  reply: FastifyReply,
  context: HttpContext,
): Promise<FastifyReply> {
  const { service, config } = context
  const { body, params } = request
  // It may have been swapped while the body arrived: what is checked here is to be what answers.
  const model = service.find(params.name, params.version)
  request.model = model
  const { binary, take } = request.tensorData!
  const outputs = askedOutputs(body, model)
  const rows = readInput(body.inputs[0]!, binary, model, {
    maxRows: config.queueRows,
    maxFileBytes: config.maxFileBytes,
    maxPixelBytes: config.maxJsonBytes,
    take,
  })
  const members = body.parameters?.members ?? model.defaultMembers
  const layers = outputs.flatMap(({ source }) => (typeof source === 'string' ? [] : [source.name]))
  if (layers.length > 0) boundLayers(outputs, rows.length, members, reply, context)
  const deadline = deadlineOf(request, patienceOf(body))
  const answers = await service.predict({
    model,
    rows,
    members,
    networks: 'discrete',
    layers,
    deadline,
    signal: clientGone(reply),
  })
  request.rows = answers.length
  request.stages = longestStages(answers)
  const answered = answers.map(requireAnswer)

  const started = performance.now()
  const answer = writeAnswer(body.id, outputs, { rows: answered, layers, members, model })
  request.encoding = performance.now() - started
  if (answer.headerLength === null) return reply.type('application/json').send(answer.body)
  return reply
    .type('application/octet-stream')
    .header('inference-header-content-length', String(answer.headerLength))
    .send(answer.body)
}

/**
 * Layers can be far larger than images: their bytes are bounded as those of a body are, before anything is computed.
 *
 * @throws ANSWER_TOO_LARGE, UPLOADS_FULL
 */
function boundLayers(
  outputs: readonly AskedOutput[],
  rows: number,
  members: number,
  reply: FastifyReply,
  context: HttpContext,
): void {
  const { maxJsonBytes, maxBodyBytes } = context.config
  let inJson = 0
  let inBinary = 0
  let computed = 0
  for (const { source, form } of outputs) {
    if (typeof source === 'string') continue
    const bytes = writtenBytes(source, form, rows, members)
    if (form === 'json') inJson += bytes
    else inBinary += bytes
    computed += rows * layerBytes(source, members)
  }
  if (inJson > maxJsonBytes || inBinary > maxBodyBytes) {
    throw new XnordError(
      'ANSWER_TOO_LARGE',
      `The layers would take up to ${inJson} bytes of JSON and ${inBinary} of binary data; at most ${maxJsonBytes} and ${maxBodyBytes} are given.`,
    )
  }
  holdAnswer(reply, context, computed + inJson + inBinary)
}

/** Milliseconds, the lesser of both parameters; Infinity where there is none. */
function patienceOf({ parameters }: InferRequest): number {
  const { deadline = Number.POSITIVE_INFINITY, timeout = 0 } = parameters ?? {}
  return Math.min(deadline, timeout === 0 ? Number.POSITIVE_INFINITY : timeout / 1000)
}

/** A tensor has no place for the error of one row: the first one fails the request. */
function requireAnswer(answer: RowAnswer, row: number): Answered {
  // The discrete network was asked.
  if (answer.ok) return answer as Answered
  throw new XnordError(answer.error.code, `image[${row}]: ${answer.error.detail}`)
}
