import type { ServerResponse } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify'
import type { Metrics } from '../metrics.ts'
import type { Statistics } from '../statistics.ts'
import { traceIdOf } from '../traceparent.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Of a route that answers requests for predictions: they are counted and timed. */
    predicts?: true
  }
}

const clientClosedRequest = 499

/**
 * Names, counts and logs every request, whichever way it ends: with one line of the log, written when the answer has
 * left. There is no logger for each request: making one would cost as much as the line.
 *
 * @param log null where requests are not logged
 */
export function recordRequests(
  app: FastifyInstance,
  metrics: Metrics,
  statistics: Statistics,
  log: FastifyBaseLogger | null,
): void {
  /** Unlike Fastify's onResponse, 'close' comes for clients that hang up, too. */
  function record(this: RecordedResponse): void {
    const request = this[recorded]!
    const milliseconds = performance.now() - request.receivedAt
    const status = this[left] ? this.statusCode : clientClosedRequest
    const { config, url } = request.routeOptions
    if (config.predicts) {
      const { model, encoding } = request
      metrics.requestEnded(model, status, milliseconds / 1000)
      if (model !== null && encoding !== null) metrics.encoded(model, encoding / 1000)
      statistics.requestEnded(request, status, milliseconds)
    }
    log?.info(lineOf(request, url, status, milliseconds), 'request')
  }

  app.addHook('onRequest', (request, reply, next) => {
    request.receivedAt = performance.now()
    reply.header('x-request-id', request.id)
    const response: RecordedResponse = reply.raw
    response[recorded] = request
    response.on('finish', leave)
    response.on('close', record)
    next()
  })
}

const recorded = Symbol('recorded')
const left = Symbol('left')

/** Tells its listeners what they need, so that the same do for all: closures of each let it survive young collections. */
type RecordedResponse = ServerResponse & { [recorded]?: FastifyRequest; [left]?: boolean }

function leave(this: RecordedResponse): void {
  // It comes for an answer that is cut off by us, too.
  this[left] = !this[recorded]!.raw.socket.destroyed
}

/**
 * What is undefined is left out of the line. It is flat: pino writes an object within an object more slowly.
 *
 * @param route as it was declared: an address can hold what nobody wants in a log
 */
function lineOf(
  request: FastifyRequest,
  route: string | undefined,
  status: number,
  milliseconds: number,
): object {
  const { model, stages, code } = request
  return {
    id: request.id,
    traceId: request.traceId ?? traceIdOf(request.headers.traceparent),
    method: request.method,
    route,
    model: model?.name,
    version: model?.version,
    rows: request.rows ?? undefined,
    status,
    code: code ?? undefined,
    queueMs: rounded(stages?.queue),
    decodeMs: rounded(stages?.decode),
    computeMs: rounded(stages?.compute),
    baselineMs: rounded(stages?.baseline),
    encodeMs: rounded(request.encoding),
    totalMs: rounded(milliseconds),
  }
}

/** To the microsecond. */
function rounded(milliseconds: number | null | undefined): number | undefined {
  return milliseconds == null ? undefined : Math.round(milliseconds * 1000) / 1000
}
