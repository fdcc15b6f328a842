import type { FastifyInstance } from 'fastify'

/** Of an answer that is data: a browser that shows it all the same loads nothing, and runs nothing. */
export const securityHeaders = {
  'content-security-policy':
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const

/**
 * Of a document with parts of its own: it may load and reach nothing but this server, nor be framed. Nothing is said of
 * HTTPS: TLS, where there is any, ends before this server, and whoever ends it decides.
 */
export const documentHeaders = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
} as const

/** Puts the headers on every answer. (helmet would assemble them anew for each.) */
export function addSecurityHeaders(app: FastifyInstance, headers: Readonly<Record<string, string>>): void {
  const entries = Object.entries(headers)
  app.addHook('onRequest', (_request, reply, next) => {
    for (const [name, value] of entries) reply.header(name, value)
    next()
  })
}
