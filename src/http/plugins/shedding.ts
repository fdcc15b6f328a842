import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { errorTable, XnordError } from '../../errors.ts'
import type { ServedModel, Service } from '../../serving/types.ts'
import type { Metrics, ShedReason } from '../metrics.ts'
import type { Statistics } from '../statistics.ts'
import { traceIdOf } from '../traceparent.ts'
import { TurnWatch } from '../turn-watch.ts'
import { type ErrorStyle, inferenceStyle, newRequestId, problemStyle } from './errors.ts'
import { boundRest } from './rest-of-body.ts'
import { securityHeaders } from './security-headers.ts'

export interface SheddingOptions {
  /** Milliseconds that a turn of the event loop may take over what it reads; 0: no limit. */
  readonly maxLag: number
  readonly service: Pick<Service, 'find' | 'secondsToRoom'>
  readonly metrics: Pick<Metrics, 'requestShed'>
  readonly statistics: Pick<Statistics, 'requestEnded'>
  /** Milliseconds in which a client that takes nothing of its answer is cut off. */
  readonly unreadLimit: number
  /** Whether connections end with their answers by now. */
  readonly closing: () => boolean
  /** Null where requests are not logged. */
  readonly log: Pick<FastifyBaseLogger, 'info'> | null
  /** Another one in tests. */
  readonly watch?: Pick<TurnWatch, 'isBehind'>
}

interface Refusal {
  readonly reason: ShedReason
  /** Null where it was not looked for. */
  readonly model: ServedModel | null
  /** Seconds. */
  readonly retryAfter: number
}

/**
 * Refuses unread what would be refused anyway, or would come too late: with QUEUE_FULL, where its model's queue has no
 * room for a single row; with OVERLOADED, where the main thread is behind. To take a request apart only to find that out
 * costs half as much as to answer it; a refusal here costs a fraction, so the process stays on its feet under several
 * times what it can answer. Only predictions are refused: a health check or a scrape costs little, and must be answered
 * while the server is busy.
 */
export function shedOverload(handle: RequestListener, options: SheddingOptions): RequestListener {
  const { maxLag, service, metrics, statistics, log } = options
  const watch = options.watch ?? (maxLag === 0 ? null : new TurnWatch(maxLag))

  function refusalOf(target: Target): Refusal | null {
    // Asked for every prediction: it counts what is read in a turn.
    if (watch?.isBehind()) return { reason: 'OVERLOADED', model: null, retryAfter: 1 }
    const model = find(target)
    const retryAfter = model === null ? 0 : service.secondsToRoom(model)
    return retryAfter === 0 ? null : { reason: 'QUEUE_FULL', model, retryAfter }
  }

  function find({ name, version }: Target): ServedModel | null {
    try {
      return service.find(name, version)
    } catch {
      // What is wrong with it is said when it is read.
      return null
    }
  }

  return (request, response) => {
    const target = targetOf(request)
    const refusal = target === null ? null : refusalOf(target)
    if (target === null || refusal === null) {
      handle(request, response)
      return
    }
    const { reason, model } = refusal
    const id = newRequestId()
    refuse(request, response, id, refusal, options)
    metrics.requestShed(model, reason)
    statistics.requestEnded({ model, stages: null, encoding: null }, response.statusCode, 0)
    log?.info(
      {
        id,
        traceId: traceIdOf(request.headers.traceparent),
        method: request.method,
        route: target.route,
        model: model?.name,
        version: model?.version,
        status: response.statusCode,
        code: reason,
      },
      'request',
    )
  }
}

/** What a request for predictions asks. */
interface Target {
  /** As it is declared. */
  readonly route: string
  readonly name?: string | undefined
  readonly version?: number | undefined
}

const inference = /^\/v2\/models\/([^/?]+)(?:\/versions\/([1-9]\d{0,14}))?\/infer$/

/** Null for what is no request for predictions. */
function targetOf({ method, url }: IncomingMessage): Target | null {
  if (method !== 'POST') return null
  const end = url!.indexOf('?')
  const path = routed(end < 0 ? url! : url!.slice(0, end))
  if (path === '/predict' || path === '/compare') {
    const text = end < 0 ? '' : url!.slice(end)
    // Most ask for no model by name.
    if (!naming.test(text)) return { route: path }
    const query = new URLSearchParams(text)
    const version = query.get('version')
    return {
      route: path,
      name: query.get('model') ?? undefined,
      version: version === null ? undefined : Number(version),
    }
  }
  const found = inference.exec(path)
  if (found === null) return null
  const [, name, version] = found
  return version === undefined
    ? { route: '/v2/models/:name/infer', name }
    : { route: '/v2/models/:name/versions/:version/infer', name, version: Number(version) }
}

/** A query that may name a model or a version, encoded or not. */
const naming = /model=|version=|%/

/** As the router reads it: without a slash at the end, and decoded. What cannot be decoded is left to be refused. */
function routed(path: string): string {
  const withoutSlash = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
  if (!withoutSlash.includes('%')) return withoutSlash
  try {
    return decodeURIComponent(withoutSlash)
  } catch {
    return withoutSlash
  }
}

/** What a style writes of a refusal, but for the id of the request, of which all are of one length. */
interface Prepared {
  readonly before: string
  readonly after: string
  /** Names and values in turn, as Node takes them. */
  readonly headers: readonly string[]
}

/** Refusals are made once and filled in: to make them anew would take as long as all else that they cost. */
function prepare(style: ErrorStyle, code: ShedReason, detail: string): Prepared {
  const id = newRequestId()
  const body = JSON.stringify(style.write(new XnordError(code, detail), id))
  const [before, after = ''] = body.split(id)
  const headers = {
    ...securityHeaders,
    'content-type': style.contentType,
    'content-length': String(Buffer.byteLength(body)),
  }
  return { before: before!, after, headers: Object.entries(headers).flat() }
}

const details: Readonly<Record<ShedReason, string>> = {
  OVERLOADED: 'The server is behind with what has arrived.',
  QUEUE_FULL: "The model's queue is full.",
}

const prepared = {
  OVERLOADED: prepareBoth('OVERLOADED'),
  QUEUE_FULL: prepareBoth('QUEUE_FULL'),
} as const satisfies Record<ShedReason, unknown>

function prepareBoth(reason: ShedReason) {
  return {
    problem: prepare(problemStyle, reason, details[reason]),
    inference: prepare(inferenceStyle, reason, details[reason]),
  }
}

/** Bytes of a body that come with its head, mostly: of what is longer, the rest is watched. */
const small = 2 ** 16

function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  id: string,
  { reason, retryAfter }: Refusal,
  { closing, unreadLimit }: SheddingOptions,
): void {
  const style = request.url!.startsWith('/v2/') ? 'inference' : 'problem'
  const { before, after, headers } = prepared[reason][style]
  // Once the answer has left, Node reads the rest of a body away, and sets the connection's limit for keeping it.
  request.socket.setTimeout(unreadLimit)
  if (!(Number(request.headers['content-length']) <= small)) {
    response.on('finish', () => boundRest(request))
    request.on('end', () => {
      if (closing()) request.socket.destroySoon()
    })
  }
  const own = ['retry-after', String(retryAfter), 'x-request-id', id]
  response.writeHead(
    errorTable[reason].status,
    headers.concat(closing() ? [...own, 'connection', 'close'] : own),
  )
  response.end(style === 'problem' ? `${before}${id}${after}` : before)
}
