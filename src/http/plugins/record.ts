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
  app.addHook('onRequest', (request, reply, next) => {
    request.receivedAt = performance.now()
    reply.header('x-request-id', request.id)
    let finished = false
    reply.raw.once('finish', () => {
      // It comes for an answer that is cut off by us, too.
      finished = !request.raw.socket.destroyed
    })
    // Unlike Fastify's onResponse, 'close' comes for clients that hang up, too.
    reply.raw.once('close', () => {
      const milliseconds = performance.now() - request.receivedAt
      const status = finished ? reply.statusCode : clientClosedRequest
      if (request.routeOptions.config.predicts) {
        const { model, encoding } = request
        metrics.requestEnded(model, status, milliseconds / 1000)
        if (model !== null && encoding !== null) metrics.encoded(model, encoding / 1000)
        statistics.requestEnded(request, status, milliseconds)
      }
      log?.info(lineOf(request, status, milliseconds), 'request')
    })
    next()
  })
}

/** What is undefined is left out of the line. It is flat: pino writes an object within an object more slowly. */
function lineOf(request: FastifyRequest, status: number, milliseconds: number): object {
  const { model, stages, code } = request
  return {
    id: request.id,
    traceId: request.traceId ?? traceIdOf(request.headers.traceparent),
    method: request.method,
    // As it was declared: an address can hold what nobody wants in a log.
    route: request.routeOptions.url,
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
