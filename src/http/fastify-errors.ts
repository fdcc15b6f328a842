import type { FastifyError, FastifySchemaValidationError } from 'fastify'
import { asXnordError, type ErrorCode, XnordError } from '../errors.ts'
import { acceptedTypes } from './media-types.ts'

/** Errors of Fastify, its plugins and the request's stream, under our codes. What is not here goes by its status. */
const codes: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_BAD_URL: 'REQUEST_MALFORMED',
  FST_ERR_INVALID_URL: 'REQUEST_MALFORMED',
  FST_ERR_MAX_PARAM_LENGTH: 'ROUTE_UNKNOWN',
  FST_MP_PREMATURE_CLOSE: 'CLIENT_GONE',
  ECONNRESET: 'CLIENT_GONE',
  FST_PARTS_LIMIT: 'TOO_MANY_PARTS',
  FST_FILES_LIMIT: 'TOO_MANY_PARTS',
  FST_FIELDS_LIMIT: 'TOO_MANY_PARTS',
}

const codesByStatus: Readonly<Record<number, ErrorCode>> = {
  413: 'BODY_TOO_LARGE',
  415: 'CONTENT_TYPE_UNSUPPORTED',
}

/** Routes that are choosy about types all take the same ones. */
const typesTaken = `One of these is taken: ${acceptedTypes.join(', ')}.`

/**
 * Any value thrown below a route, as one of our errors.
 *
 * @param body the code of a body that does not match its schema
 */
export function toXnordError(thrown: unknown, body: ErrorCode): XnordError {
  if (thrown instanceof XnordError || !isFastifyError(thrown)) return asXnordError(thrown)
  if (thrown.validation !== undefined) {
    const code = thrown.validationContext === 'body' ? body : 'PARAMETER_INVALID'
    return new XnordError(code, describe(thrown.validation[0]!), { cause: thrown })
  }
  const code = codes[thrown.code] ?? codeOfStatus(thrown.statusCode ?? 500)
  if (code === null) return asXnordError(thrown)
  const detail = code === 'CONTENT_TYPE_UNSUPPORTED' ? typesTaken : thrown.message
  return new XnordError(code, detail, { cause: thrown })
}

function codeOfStatus(status: number): ErrorCode | null {
  if (status < 400 || status > 499) return null
  return codesByStatus[status] ?? 'BODY_MALFORMED'
}

function isFastifyError(thrown: unknown): thrown is FastifyError {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string'
}

/** One sentence on the first thing that Ajv found wrong. */
function describe({ instancePath, keyword, params, message }: FastifySchemaValidationError): string {
  const where = instancePath.slice(1).replaceAll('/', '.')
  if (keyword === 'additionalProperties')
    return `There is no parameter ${JSON.stringify(params.additionalProperty)}.`
  if (keyword === 'enum') return `${where} must be one of ${(params.allowedValues as unknown[]).join(', ')}.`
  if (where === '') return `The request ${message ?? 'is not valid'}.`
  return `${where} ${message ?? 'is not valid'}.`
}
