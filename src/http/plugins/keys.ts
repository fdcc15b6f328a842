import { hash, timingSafeEqual } from 'node:crypto'
import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import type { Config } from '../../config.ts'
import { type ErrorCode, XnordError } from '../../errors.ts'

/** `onRequest` hooks: they refuse a request before anything of its body has been read. */
export interface KeyHooks {
  /** Whether `requireKey` asks for a key at all. */
  readonly asking: boolean
  /**
   * Lets pass who has any key, and everybody where no key for predictions is configured. For whole scopes of routes.
   *
   * Refuses with KEY_MISSING, KEY_INVALID.
   */
  readonly requireKey: onRequestHookHandler
  /**
   * Lets pass who has a key for administration; nobody where none is configured. For single routes.
   *
   * Refuses with ADMINISTRATION_OFF, KEY_MISSING, KEY_INVALID, ADMINISTRATION_DENIED.
   */
  readonly requireAdministrator: onRequestHookHandler
}

/** Digests of keys are of one length, as comparison in constant time needs them. */
type Digests = readonly Buffer[]

export function createKeyHooks(
  config: Pick<Config, 'keys' | 'keysFile' | 'adminKeys' | 'adminKeysFile'>,
): KeyHooks {
  const predicting = [...config.keys, ...config.keysFile].map(digest)
  const administrating = [...config.adminKeys, ...config.adminKeysFile].map(digest)
  const all = [...predicting, ...administrating]

  return {
    asking: predicting.length > 0,

    requireKey(request, reply, next) {
      if (predicting.length === 0) return next()
      const key = sentKey(request)
      if (key === null) return next(refusal(reply, 'KEY_MISSING'))
      const found = indexAmong(all, digest(key))
      if (found < 0) return next(refusal(reply, 'KEY_INVALID'))
      request.keyNumber = found
      next()
    },

    requireAdministrator(request, reply, next) {
      if (administrating.length === 0) {
        return next(new XnordError('ADMINISTRATION_OFF', 'XNORD_ADMIN_KEYS turns it on.'))
      }
      const key = sentKey(request)
      if (key === null) return next(refusal(reply, 'KEY_MISSING'))
      const sent = digest(key)
      if (indexAmong(administrating, sent) >= 0) return next()
      if (indexAmong(predicting, sent) < 0) return next(refusal(reply, 'KEY_INVALID'))
      next(new XnordError('ADMINISTRATION_DENIED', 'The key is for predictions alone.'))
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

function refusal(reply: FastifyReply, code: keyof typeof refusals): XnordError {
  const { detail, challenge } = refusals[code]
  reply.header('www-authenticate', challenge)
  return new XnordError(code, detail)
}
