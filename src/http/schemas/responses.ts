/** The answers of a route, for its `response`: documentation, and what tests hold every answer to. */

import { type ErrorCode, errorTable } from '../../errors.ts'
import { type TSchema, Type } from './type.ts'

type Headers = Readonly<Record<string, TSchema>>

interface Response {
  readonly description: string
  readonly headers: Headers
  readonly content: Readonly<Record<string, { readonly schema: object }>>
}

type Responses = Readonly<Record<number, Response>>

const requestId: Headers = {
  'X-Request-Id': Type.String({ description: 'Under which the log has the request.' }),
}

const retryAfter: Headers = {
  'Retry-After': Type.Integer({ minimum: 1, description: 'Seconds, by what waits and how fast it goes.' }),
}

const challenge: Headers = {
  'WWW-Authenticate': Type.String({ description: 'Which kind of key is missing (RFC 6750).' }),
}

/** What errors of a status tell in headers. */
const errorHeaders: Readonly<Record<number, Headers>> = { 401: challenge, 429: retryAfter, 503: retryAfter }

/** Of every route that asks for a key and answers no more than so many requests. */
const guarded: readonly ErrorCode[] = ['KEY_MISSING', 'KEY_INVALID', 'RATE_LIMITED', 'INTERNAL']

/** Of every route that reads a body. */
export const bodyErrors = [
  'BODY_MALFORMED',
  'BODY_TOO_LARGE',
  'CONTENT_ENCODING_UNSUPPORTED',
  'UPLOADS_FULL',
] as const satisfies readonly ErrorCode[]

/** Of every route that asks serving for predictions. */
export const predictionErrors = [
  'PARAMETER_INVALID',
  'MODEL_UNKNOWN',
  'VERSION_UNKNOWN',
  'MEMBERS_OUT_OF_RANGE',
  'IMAGE_EMPTY',
  'IMAGE_FORMAT_UNKNOWN',
  'IMAGE_MALFORMED',
  'IMAGE_TOO_LARGE',
  'PIXELS_LENGTH',
  'OVERLOADED',
  'QUEUE_FULL',
  'REQUEST_TOO_LARGE_FOR_QUEUE',
  'DEADLINE_EXCEEDED',
  'NOT_READY',
  'SHUTTING_DOWN',
  'WORKER_LOST',
] as const satisfies readonly ErrorCode[]

/** Of every route that reads a model's file. */
export const modelFileErrors = (Object.keys(errorTable) as ErrorCode[]).filter(
  code => errorTable[code].group === 'model',
)

/** @param schema of JSON; the name of a shared one, or itself */
export function ok(description: string, schema: string | object, headers: Headers = {}): Responses {
  const body = typeof schema === 'string' ? Type.Ref(`${schema}#`) : schema
  return okOf(description, { 'application/json': { schema: body } }, headers)
}

export function okOf(description: string, content: Response['content'], headers: Headers = {}): Responses {
  return { 200: { description, headers: { ...requestId, ...headers }, content } }
}

/** Of health, which asks for no key. */
export const notReady = byStatus(['NOT_READY', 'SHUTTING_DOWN'], 'application/json', 'InferenceError#')

/** Errors as problem documents (RFC 9457). */
export function problems(...codes: readonly ErrorCode[]): Responses {
  return byStatus([...codes, ...guarded], 'application/problem+json', 'Problem#')
}

/** Errors as the Open Inference Protocol writes them. */
export function inferenceErrors(...codes: readonly ErrorCode[]): Responses {
  return byStatus([...codes, ...guarded], 'application/json', 'InferenceError#')
}

function byStatus(codes: readonly ErrorCode[], contentType: string, schema: string): Responses {
  const statuses = new Set(codes.map(code => errorTable[code].status))
  return Object.fromEntries(
    Array.from(statuses, status => {
      const own = codes.filter(code => errorTable[code].status === status)
      return [
        status,
        {
          description: own.map(code => `\`${code}\`: ${errorTable[code].title}.`).join('\n'),
          headers: { ...requestId, ...errorHeaders[status] },
          content: { [contentType]: { schema: Type.Ref(schema) } },
        },
      ]
    }),
  )
}
