import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { addSecurityHeaders, documentHeaders } from './security-headers.ts'

/** The built page lies beside the built service; a service run from its sources finds it there, too. */
const root = new URL('../../../dist/page/', import.meta.url)

/** The page at `/`. */
export async function page(app: FastifyInstance): Promise<void> {
  addSecurityHeaders(app, documentHeaders)
  await app.register(fastifyStatic, { root, wildcard: false, decorateReply: false })
}
