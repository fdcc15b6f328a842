import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { XnordError } from '../../errors.ts'

/** Callers whose requests are counted at one time; the one that was seen longest ago is forgotten for a new one. */
const callers = 2 ** 16

const noHeaders = { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false }

/** An `onRequest` hook. It counts a request once, however often it is called for it. */
export type RateLimit = (request: FastifyRequest, reply: FastifyReply) => Promise<void>

/**
 * A hook, to come after that for keys, that refuses with RATE_LIMITED what one caller asks beyond `most` requests a
 * second: one key, else one address (of IPv6, a network of 64 bits: whoever has one address there has all of them).
 *
 * @param most 0: there is no limit
 */
export async function createRateLimit(app: FastifyInstance, most: number): Promise<RateLimit> {
  if (most === 0) return async () => undefined
  // Few servers limit it, and it is 20 ms to load.
  const { default: rateLimit, normalizeIP } = await import('@fastify/rate-limit')
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
  const limit = app.rateLimit()
  return async (request, reply) => {
    await limit.call(app, request, reply)
  }
}
