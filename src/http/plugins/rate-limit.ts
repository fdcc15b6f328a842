import rateLimit, { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance, onRequestAsyncHookHandler } from 'fastify'
import { XnordError } from '../../errors.ts'

/** Callers whose requests are counted at one time; the one that was seen longest ago is forgotten for a new one. */
const callers = 2 ** 16

const noHeaders = { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false }

/**
 * A hook, to come after that for keys, that refuses with RATE_LIMITED what one caller asks beyond `most` requests a
 * second: one key, else one address (of IPv6, a network of 64 bits: whoever has one address there has all of them).
 *
 * @returns null where there is no limit
 */
export async function createRateLimit(
  app: FastifyInstance,
  most: number,
): Promise<onRequestAsyncHookHandler | null> {
  if (most === 0) return null
  await app.register(rateLimit, {
    global: false,
    max: most,
    timeWindow: 1000,
    cache: callers,
    keyGenerator: ({ keyNumber, ip }) => (keyNumber === null ? normalizeIP(ip) : keyNumber),
    addHeadersOnExceeding: noHeaders,
    addHeaders: { ...noHeaders, 'retry-after': false },
    errorResponseBuilder: (_request, { max, ttl }) =>
      new XnordError('RATE_LIMITED', `At most ${max} requests a second are taken.`, {
        retryAfter: ttl / 1000,
      }),
  })
  return app.rateLimit()
}
