/** One call over HTTP: addressed, limited in time, repeated where that is wanted, its failures made errors. */
import type { RowError } from './answers.ts'
import { RequestError } from './error.ts'

export interface ClientOptions {
  /** Where the server is, any path prefix included. */
  readonly url: string | URL
  /** Sent with every request, as `Authorization: Bearer …`. */
  readonly key?: string
  /** In place of the platform's. */
  readonly fetch?: typeof globalThis.fetch
  /** Milliseconds after which a call gives up, its repetitions included; without it only the platform limits it. */
  readonly timeout?: number
  /**
   * How often a call is repeated that was answered with 503 or 429, each time after the seconds that the answer's
   * `Retry-After` names, or up to a quarter more; without it never.
   */
  readonly retries?: number
}

export interface Call {
  readonly method?: 'GET' | 'POST'
  /** Segments below the server's address, as they are before they are encoded. */
  readonly path: readonly string[]
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array<ArrayBuffer> | FormData | string
  readonly signal?: AbortSignal | undefined
  /** Without it as often as the client's options allow. */
  readonly retries?: 0
}

/** An answer, read to its end. */
export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** Gives answers of status 2xx. Rejects with RequestError, or with the reason of the call's signal where that was aborted. */
export type Exchange = (call: Call) => Promise<Reply>

/** @throws TypeError if the address or the key cannot be one */
export function createExchange({
  url,
  key,
  fetch = globalThis.fetch,
  timeout,
  retries: allowed = 0,
}: ClientOptions): Exchange {
  const base = baseOf(url)
  const authorization = new Headers(key === undefined ? {} : { authorization: `Bearer ${key}` })

  return async ({
    method = 'GET',
    path,
    query = {},
    headers = {},
    body = null,
    signal,
    retries = allowed,
  }) => {
    const address = new URL(path.map(encodeSegment).join('/'), base)
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) address.searchParams.set(name, String(value))
    }
    const sent = new Headers(authorization)
    for (const [name, value] of Object.entries(headers)) sent.set(name, value)
    const clock = timeout === undefined ? undefined : AbortSignal.timeout(timeout)
    const ends = AbortSignal.any([signal, clock].filter(one => one !== undefined))

    async function attempt(): Promise<Reply> {
      try {
        const response = await fetch(address, { method, headers: sent, body, signal: ends })
        const bytes = new Uint8Array(await response.arrayBuffer())
        return { status: response.status, headers: response.headers, bytes }
      } catch (cause) {
        signal?.throwIfAborted()
        if (clock?.aborted) throw noAnswer('TIMEOUT', `It took longer than ${timeout} milliseconds.`, cause)
        throw noAnswer('UNREACHABLE', 'It does not run, or the connection is lost.', cause)
      }
    }

    let reply = await attempt()
    for (let left = retries; reply.status < 200 || reply.status > 299; left--) {
      const refusal = refusalOf(reply)
      if (left === 0 || refusal.retryAfter === null) throw refusal
      await pause(refusal.retryAfter, ends)
      signal?.throwIfAborted()
      if (clock?.aborted) throw refusal
      reply = await attempt()
    }
    return reply
  }
}

/** @throws SyntaxError */
export function readJson(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(bytes))
}

/** Something between here and the server has answered in its place, or the address is not an xnord server's. */
export function unreadable({ status, headers }: Reply, cause: unknown): RequestError {
  return new RequestError('ANSWER_UNREADABLE', 'It is not what xnord sends.', {
    title: 'The answer cannot be read',
    status,
    requestId: headers.get('x-request-id'),
    cause,
  })
}

/** Addresses are taken relative to it, so that it ends with a slash, and nothing comes behind. */
function baseOf(url: string | URL): URL {
  const base = new URL(url)
  // `localhost:8080` is an address, too, of the scheme `localhost`.
  if (!/^https?:$/.test(base.protocol)) throw new TypeError(`${url} does not begin with http:// or https://.`)
  base.search = ''
  base.hash = ''
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  return base
}

/** @throws RangeError for what would lead to another address */
function encodeSegment(segment: string): string {
  if (['', '.', '..'].includes(segment)) throw new RangeError(`${JSON.stringify(segment)} is not a name.`)
  return encodeURIComponent(segment)
}

function noAnswer(code: 'TIMEOUT' | 'UNREACHABLE', detail: string, cause: unknown): RequestError {
  const title = code === 'TIMEOUT' ? 'The server did not answer in time' : 'The server cannot be reached'
  return new RequestError(code, detail, { title, cause })
}

/** The members of the server's errors: a problem document (RFC 9457), or what the Open Inference Protocol has. */
interface ErrorBody {
  readonly code?: unknown
  readonly title?: string
  readonly detail?: string
  readonly error?: string
  readonly predictions?: readonly RowError[]
}

function refusalOf(reply: Reply): RequestError {
  const { status, headers } = reply
  const body = errorOf(reply.bytes)
  if (typeof body?.code !== 'string') return unreadable(reply, undefined)
  return new RequestError(body.code, body.detail ?? body.error ?? '', {
    status,
    ...(body.title !== undefined && { title: body.title }),
    retryAfter: status === 503 || status === 429 ? secondsOf(headers.get('retry-after')) : null,
    requestId: headers.get('x-request-id'),
    rows: body.predictions ?? [],
  })
}

/** Null for what is no JSON: proxies answer in words of their own. */
function errorOf(bytes: Uint8Array): ErrorBody | null {
  try {
    return readJson(bytes) as ErrorBody | null
  } catch {
    return null
  }
}

/** Null for what no timer could wait for, too. */
function secondsOf(text: string | null): number | null {
  return text !== null && /^\d{1,6}$/.test(text) ? Number(text) : null
}

/** Ends early where the signal is aborted. Those who were refused together do not come back together. */
function pause(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise<void>(resolve => {
    if (signal.aborted) return resolve()
    const timer = setTimeout(end, seconds * 1000 * (1 + Math.random() / 4))
    signal.addEventListener('abort', end)
    function end() {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      return resolve()
    }
  })
}
