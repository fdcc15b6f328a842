import type { FastifyReply, FastifyRequest } from 'fastify'
import { type ErrorData, XnordError } from '../errors.ts'
import type { Networks, Row, RowAnswer, ServedModel } from '../serving/types.ts'
import { type RowWriter, writeError } from './answers.ts'
import { arrivedBy } from './body.ts'
import { clientGone } from './client-gone.ts'
import type { HttpContext } from './context.ts'
import { deadlineOf } from './deadline.ts'
import type { Metrics } from './metrics.ts'
import { forCaller, problemStyle, sendError } from './plugins/errors.ts'
import type { PredictQuery } from './schemas/predict.ts'
import { longestStages, serverTiming } from './stages.ts'
import { readUploads, type Upload } from './uploads.ts'

const defaultTop = 5

/** What a request asks of serving, and how its answered rows are written. */
export interface Variant {
  readonly networks: Networks
  readonly write: RowWriter
}

type PredictionRequest = FastifyRequest<{ Querystring: PredictQuery }>

/** Reads a request's rows, has them answered, and writes the answers. */
export async function answerRows(
  request: PredictionRequest,
  reply: FastifyReply,
  context: HttpContext,
  variant: Variant,
): Promise<FastifyReply> {
  const { service, metrics } = context
  const { query } = request
  const { networks, write } = variant
  function find(): ServedModel {
    request.model = service.find(query.model, query.version)
    return request.model
  }
  // A body that nobody can answer is not worth its reading.
  topOf(query.top, find())
  const signal = clientGone(reply)
  const deadline = deadlineOf(request, query.deadline)
  const reading = readUploads(request, reply, find, context)
  const uploads = await (deadline === undefined ? reading : arrivedBy(deadline, request, reading))
  const model = find()
  const top = topOf(query.top, model)
  const answers = await ask(uploads, rows =>
    service.predict({
      model,
      rows,
      members: query.members ?? model.defaultMembers,
      networks,
      deadline,
      signal,
    }),
  )
  request.rows = answers.length
  request.stages = longestStages(answers)

  const started = performance.now()
  const predictions = answers.map((answer, row) => {
    const { name } = uploads[row]!
    if (answer.ok) return write(name, answer, model, top)
    return writeError(name, forCaller(answer.error, request))
  })
  const failure = commonFailure(answers)
  if (failure !== null) {
    const error = new XnordError(failure.code, failure.detail)
    return sendError(error, request, reply, problemStyle, { predictions })
  }
  const { name, version, digest, backend } = model
  // What is undefined is left out.
  const network = networks === 'baseline' ? networks : undefined
  const body = JSON.stringify({ model: name, version, digest, backend, network, predictions })
  request.encoding = performance.now() - started
  countComparisons(answers, model, metrics)
  return reply.header('server-timing', serverTiming(request.stages!)).type('application/json').send(body)
}

/** One answer an upload, in their order; those that cannot be used are answered without serving. */
async function ask(
  uploads: readonly Upload[],
  predict: (rows: readonly Row[]) => Promise<readonly RowAnswer[]>,
): Promise<readonly RowAnswer[]> {
  const rows = uploads.map(({ row }) => row).filter(isRow)
  const answered = rows.length === 0 ? [] : await predict(rows)
  if (rows.length === uploads.length) return answered
  const next = answered.values()
  return uploads.map(({ row }) => (isRow(row) ? next.next().value! : { ok: false, error: row }))
}

function countComparisons(answers: readonly RowAnswer[], model: ServedModel, metrics: Metrics): void {
  for (const answer of answers) {
    if (!answer.ok || answer.baseline === null || answer.prediction === null) continue
    metrics.compared(model, answer.baseline.index === answer.prediction.index)
  }
}

function topOf(asked: number | undefined, { name, labels }: ServedModel): number {
  if (asked === undefined) return Math.min(defaultTop, labels.length)
  if (asked <= labels.length) return asked
  throw new XnordError('PARAMETER_INVALID', `top must be at most ${labels.length}, the classes of ${name}.`)
}

function isRow(row: Row | ErrorData): row is Row {
  return 'kind' in row
}

/** The first row's error where every row has one: then the request has failed. */
function commonFailure(answers: readonly RowAnswer[]): ErrorData | null {
  const first = answers[0]!
  return first.ok || answers.some(answer => answer.ok) ? null : first.error
}
