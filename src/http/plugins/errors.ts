import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type ErrorCode, type ErrorData, XnordError } from '../../errors.ts'
import { toXnordError } from '../fastify-errors.ts'
import type { MethodsOf } from './methods.ts'

/** How a scope writes its errors: its media type, and its body. */
export interface ErrorStyle {
  readonly contentType: string
  /** The code of a JSON body that does not match its schema. */
  readonly invalidBody: ErrorCode
  readonly write: (error: XnordError, requestId: string) => object
}

/** RFC 9457. */
export const problemStyle: ErrorStyle = {
  contentType: 'application/problem+json',
  invalidBody: 'BODY_MALFORMED',
  write: (error, requestId) => ({
    type: `urn:xnord:error:${error.code}`,
    title: error.title,
    status: error.status,
    detail: error.message,
    instance: `urn:uuid:${requestId}`,
    code: error.code,
  }),
}

/** What clients of the Open Inference Protocol expect. */
export const inferenceStyle: ErrorStyle = {
  contentType: 'application/json',
  invalidBody: 'TENSOR_INVALID',
  write: error => ({ error: error.message, code: error.code }),
}

/** Answers every error of a scope, unknown addresses included, in one style. */
export function answerErrors(app: FastifyInstance, style: ErrorStyle, methodsOf: MethodsOf): void {
  function sendNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const { method, url } = request
    const path = url.split('?')[0]!
    const allowed = methodsOf(path)
    if (allowed.length === 0)
      return sendError(new XnordError('ROUTE_UNKNOWN', `${method} ${path}`), request, reply, style)
    reply.header('allow', allowed.join(', '))
    const detail = `${path} takes ${allowed.join(', ')}, not ${method}.`
    return sendError(new XnordError('METHOD_NOT_ALLOWED', detail), request, reply, style)
  }
  app.setErrorHandler((thrown, request, reply) => {
    // Fastify finds fault with the body before it says that there is no route.
    if (request.is404) return sendNotFound(request, reply)
    return sendError(toXnordError(thrown, style.invalidBody), request, reply, style)
  })
  app.setNotFoundHandler(sendNotFound)
}

/** @param more further members of the body */
export function sendError(
  error: XnordError,
  request: FastifyRequest,
  reply: FastifyReply,
  style: ErrorStyle,
  more: object = {},
): FastifyReply {
  discardRest(request)
  request.code = error.code
  reply.code(error.status).type(style.contentType)
  if (error.status === 503 || error.status === 429)
    reply.header('retry-after', Math.max(1, Math.ceil(error.retryAfter ?? 1)))
  const shown = new XnordError(error.code, forCaller(error.data, request, error.cause).detail)
  // As bytes: to a text Fastify would add a charset, which JSON does not have, and which clients do not look for.
  return reply.send(Buffer.from(JSON.stringify({ ...style.write(shown, request.id), ...more })))
}

/** Messages of unforeseen errors may tell of paths and code: they go to the log, and the caller learns where. */
export function forCaller({ code, detail }: ErrorData, request: FastifyRequest, cause?: unknown): ErrorData {
  if (code !== 'INTERNAL') return { code, detail }
  request.log.error({ id: request.id, detail, err: cause }, 'an error inside xnord')
  return { code, detail: `The log tells more under the request's id, ${request.id}.` }
}

/** An answer may come before the body has been read: the rest is thrown away as it arrives, see rest-of-body.ts. */
function discardRest(request: FastifyRequest): void {
  if (request.raw.readableEnded) return
  request.raw.unpipe()
  request.raw.resume()
}

/** Identifies one request in its problem document and in the log. */
export const newRequestId = (): string => randomUUID()
