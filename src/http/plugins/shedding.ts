import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { XnordError } from '../../errors.ts'
import type { Metrics } from '../metrics.ts'
import { TurnWatch } from '../turn-watch.ts'
import { inferenceStyle, newRequestId, problemStyle } from './errors.ts'
import { boundRest } from './rest-of-body.ts'
import { securityHeaders } from './security-headers.ts'

export interface SheddingOptions {
  /** Milliseconds that a turn of the event loop may take over what it reads; 0: no limit. */
  readonly maxLag: number
  readonly metrics: Pick<Metrics, 'requestShed'>
  /** Whether connections end with their answers by now. */
  readonly closing: () => boolean
  /** Null where requests are not logged. */
  readonly log: Pick<FastifyBaseLogger, 'info'> | null
  /** Another one in tests. */
  readonly watch?: Pick<TurnWatch, 'isBehind'>
}

/**
 * Refuses with OVERLOADED what is read while the main thread is behind: to take a request apart only to find that out
 * would put it further behind. A refusal costs a fraction of an answer, so the process stays on its feet under several
 * times what it can answer. Only predictions are refused: a health check or a scrape costs little, and must be answered
 * while the server is busy.
 */
export function shedOverload(handle: RequestListener, options: SheddingOptions): RequestListener {
  const { maxLag, metrics, closing, log } = options
  if (maxLag === 0) return handle
  const watch = options.watch ?? new TurnWatch(maxLag)
  return (request, response) => {
    const route = watch.isBehind() ? predictionRoute(request) : null
    if (route === null) {
      handle(request, response)
      return
    }
    const id = newRequestId()
    refuse(request, response, id, closing())
    metrics.requestShed()
    log?.info({ id, method: request.method, route, status: response.statusCode, code: overloaded }, 'request')
  }
}

const overloaded = 'OVERLOADED'

/** As it is declared; null for what is no request for a prediction. */
function predictionRoute({ method, url }: IncomingMessage): string | null {
  if (method !== 'POST') return null
  const [path] = url!.split('?', 1)
  if (path === '/predict' || path === '/compare') return path
  return path!.startsWith('/v2/models/') && path!.endsWith('/infer') ? '/v2/models/:name/infer' : null
}

/** @param isLast whether the connection is to end with this answer */
function refuse(request: IncomingMessage, response: ServerResponse, id: string, isLast: boolean): void {
  const error = new XnordError(overloaded, 'The server is behind with what has arrived.', { retryAfter: 1 })
  const style = request.url!.startsWith('/v2/') ? inferenceStyle : problemStyle
  const body = JSON.stringify(style.write(error, id))
  request.resume()
  response.once('finish', () => boundRest(request))
  response.writeHead(error.status, {
    ...securityHeaders,
    'content-type': style.contentType,
    'content-length': Buffer.byteLength(body),
    'retry-after': String(error.retryAfter),
    'x-request-id': id,
    ...(isLast && { connection: 'close' }),
  })
  response.end(body)
}
