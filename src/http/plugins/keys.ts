import { hash, timingSafeEqual } from 'node:crypto'
import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import type { Config } from '../../config.ts'
import { type ErrorCode, XnordError } from '../../errors.ts'
import type { RateLimit } from './rate-limit.ts'

/**
 * `onRequest` hooks: they refuse a request before anything of its body has been read. What they refuse counts against
 * the rate of its address, and is RATE_LIMITED beyond it: guessing keys is not free. A key that is right counts by
 * itself, so whoever guesses behind an address that others share takes nothing from them.
 */
export interface KeyHooks {
  /** Whether `requireKey` asks for a key at all. */
  readonly asking: boolean
  /**
   * Lets pass who has any key, and everybody where no key for predictions is configured. For whole scopes of routes.
   *
   * Refuses with KEY_MISSING, KEY_INVALID, RATE_LIMITED.
   */
  readonly requireKey: onRequestHookHandler
  /**
   * Lets pass who has a key for administration; nobody where none is configured. For single routes.
   *
   * Refuses with ADMINISTRATION_OFF, KEY_MISSING, KEY_INVALID, ADMINISTRATION_DENIED, RATE_LIMITED.
   */
  readonly requireAdministrator: onRequestHookHandler
}

/** Digests of keys are of one length, as comparison in constant time needs them. */
type Digests = readonly Buffer[]

/** @param limitRate counts what is refused, by its address where the request has no `keyNumber` */
export function createKeyHooks(
  config: Pick<Config, 'keys' | 'keysFile' | 'adminKeys' | 'adminKeysFile'>,
  limitRate: RateLimit,
): KeyHooks {
  const predicting = [...config.keys, ...config.keysFile].map(digest)
  const administrating = [...config.adminKeys, ...config.adminKeysFile].map(digest)
  const all = [...predicting, ...administrating]

  const refuse = (
    request: FastifyRequest,
    reply: FastifyReply,
    next: (error?: Error) => void,
    refusal: () => XnordError,
  ) => void limitRate(request, reply).then(() => next(refusal()), next)

  return {
    asking: predicting.length > 0,

    requireKey(request, reply, next) {
      if (all.length === 0) return next()
      const key = sentKey(request)
      const found = key === null ? -1 : indexAmong(all, digest(key))
      if (found >= 0) request.keyNumber = found
      if (found >= 0 || predicting.length === 0) return next()
      refuse(request, reply, next, () => challenged(reply, key === null ? 'KEY_MISSING' : 'KEY_INVALID'))
    },

    requireAdministrator(request, reply, next) {
      const key = sentKey(request)
      const sent = key === null ? null : digest(key)
      if (sent !== null && indexAmong(administrating, sent) >= 0) return next()
      refuse(request, reply, next, () => {
        if (administrating.length === 0) {
          return new XnordError('ADMINISTRATION_OFF', 'XNORD_ADMIN_KEYS turns it on.')
        }
        if (sent === null) return challenged(reply, 'KEY_MISSING')
        if (indexAmong(predicting, sent) < 0) return challenged(reply, 'KEY_INVALID')
        return new XnordError('ADMINISTRATION_DENIED', 'The key is for predictions alone.')
      })
    },
  }
}

const digest = (key: string): Buffer => hash('sha256', key, 'buffer')

/** Compares with every one of them, so that the time tells nothing of which it was. */
function indexAmong(known: Digests, sent: Buffer): number {
  let found = -1
  for (const [index, one] of known.entries()) if (timingSafeEqual(one, sent)) found = index
  return found
}

/** The token of `Authorization: Bearer …` (RFC 6750); null where there is none. */
function sentKey({ headers }: FastifyRequest): string | null {
  return /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1] ?? null
}

const refusals = {
  KEY_MISSING: {
    detail: 'Send a key in the header Authorization: Bearer ….',
    challenge: 'Bearer realm="xnord"',
  },
  KEY_INVALID: {
    detail: 'No such key is configured.',
    challenge: 'Bearer realm="xnord", error="invalid_token"',
  },
} as const satisfies Partial<Record<ErrorCode, object>>

function challenged(reply: FastifyReply, code: keyof typeof refusals): XnordError {
  const { detail, challenge } = refusals[code]
  reply.header('www-authenticate', challenge)
  return new XnordError(code, detail)
}
