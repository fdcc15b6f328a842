import type { FastifyInstance, FastifyRequest } from 'fastify'
import { XnordError } from '../../errors.ts'
import { isNestedDeeper } from '../json-depth.ts'

/** Of JSON: twice what the protocol itself needs. */
const maxDepth = 16

/** @throws BODY_MALFORMED for nesting that nobody needs, and Fastify's error for what is not JSON */
export type ParseJson = (request: FastifyRequest, text: Buffer) => unknown

/**
 * Leaves the bodies of a scope to be read by its routes, whatever their content type: clients of the protocol often send
 * none. Fastify's own parser, which refuses to poison prototypes, is what they read with.
 */
export function leaveBodies(app: FastifyInstance): ParseJson {
  app.removeAllContentTypeParsers()
  // Not undefined, which stands for no body.
  app.addContentTypeParser('*', (_request, _stream, done) => done(null, null))
  const parse = app.getDefaultJsonParser('error', 'error')
  return (request, text) => {
    if (isNestedDeeper(text, maxDepth))
      throw new XnordError('BODY_MALFORMED', `The JSON is nested more than ${maxDepth} deep.`)
    let parsed: unknown
    let failure: Error | null = null
    void parse(request, text.toString(), (error, value) => {
      failure = error
      parsed = value
    })
    if (failure !== null) throw failure
    return parsed
  }
}
