import helmet from '@fastify/helmet'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'

/** The built page lies beside the built service; a service run from its sources finds it there, too. */
const root = new URL('../../../dist/page/', import.meta.url)

/** The page at `/`, with a policy that lets it load and reach nothing but this server. */
export async function page(app: FastifyInstance): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: {
      // helmet's defaults would have browsers fetch the page's parts by HTTPS, which this server does not speak.
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        connectSrc: ["'self'"],
        manifestSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    // TLS, where there is any, ends before this server: whoever ends it decides on this header.
    strictTransportSecurity: false,
  })
  await app.register(fastifyStatic, { root, wildcard: false, decorateReply: false })
}
