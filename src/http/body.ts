import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { XnordError } from '../errors.ts'
import type { HttpContext } from './context.ts'

/** Counts bytes that have arrived; throws when they are too many. */
export type Take = (bytes: number) => void

/**
 * Counts the bytes of one request against its own limit, and until it is answered against that of all requests.
 *
 * @throws BODY_TOO_LARGE at once where the request states a length over the limit; then as the bytes are taken, and
 *   UPLOADS_FULL
 */
export function holdBody(
  request: FastifyRequest,
  reply: FastifyReply,
  { heldBytes, metrics }: HttpContext,
  limit: number,
): Take {
  if (Number(request.headers['content-length'] ?? 0) > limit) throw bodyTooLarge(limit)
  let held = 0
  reply.raw.on('close', () => heldBytes.give(held))
  return bytes => {
    // What is still in the stream's buffer when the client goes must not be counted: nobody would give it back.
    if (reply.raw.destroyed)
      throw new XnordError('CLIENT_GONE', 'The connection closed before the body had arrived.')
    if (held + bytes > limit) throw bodyTooLarge(limit)
    try {
      heldBytes.take(bytes, held + bytes)
    } catch (error) {
      metrics.uploadRefused()
      throw error
    }
    held += bytes
  }
}

/** By their names in `Content-Encoding` (RFC 9110, 8.4.1); `deflate` is what RFC 1950 calls zlib. */
const decoders = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
} as const

/**
 * A body without its `Content-Encoding`. Limit and `take` count what comes out of it, while it does: a few bytes can
 * become very many. What goes in is limited, too: very many can become none.
 *
 * @throws CONTENT_ENCODING_UNSUPPORTED, BODY_MALFORMED, and what `readAll` throws
 */
export async function readDecoded(
  { headers, raw }: FastifyRequest,
  limit: number,
  take: Take,
): Promise<Buffer> {
  const encoding = encodingOf(headers)
  // A connection that has closed already would tell the decoder nothing of it.
  if (encoding === null || raw.destroyed) return readAll(raw, limit, take)
  if (!Object.hasOwn(decoders, encoding)) {
    const known = Object.keys(decoders).join(', ')
    throw new XnordError('CONTENT_ENCODING_UNSUPPORTED', `One of these is taken: ${known}.`)
  }
  const decoder = decoders[encoding as keyof typeof decoders]()
  let encoded = 0
  function count(chunk: Buffer): void {
    encoded += chunk.length
    if (encoded > limit) decoder.destroy(bodyTooLarge(limit))
  }
  raw.once('error', error => decoder.destroy(error))
  raw.on('data', count).pipe(decoder)
  decoder.once('unpipe', () => {
    // Nobody waits for the body any more: it is being discarded.
    if (!raw.readableEnded) decoder.destroy()
  })
  try {
    return await readAll(decoder, limit, take)
  } catch (error) {
    // Of the decoders: their codes are not ours, and the request's own (a connection that closed) go on.
    if (error instanceof XnordError || raw.errored !== null) throw error
    throw new XnordError('BODY_MALFORMED', `The body is not ${encoding}: ${(error as Error).message}.`, {
      cause: error,
    })
  } finally {
    raw.off('data', count).unpipe(decoder)
    decoder.destroy()
  }
}

/** In lower case; null where the body is as it is. */
export function encodingOf({ 'content-encoding': encoding }: IncomingHttpHeaders): string | null {
  const name = encoding?.toLowerCase() ?? 'identity'
  return name === 'identity' ? null : name
}

/**
 * Counts the bytes of an answer that is yet to be made, until it has left, against those that all requests may hold.
 *
 * @throws UPLOADS_FULL
 */
export function holdAnswer(reply: FastifyReply, { heldBytes, metrics }: HttpContext, bytes: number): void {
  // Nobody waits for it, and nobody would give the bytes back.
  if (reply.raw.destroyed) return
  try {
    heldBytes.take(bytes, bytes)
  } catch (error) {
    metrics.uploadRefused()
    throw error
  }
  reply.raw.once('close', () => heldBytes.give(bytes))
}

/** @throws BODY_TOO_LARGE, BODY_MALFORMED, and whatever `take` throws; the rest of the stream is then left to be read */
export function readAll(stream: Readable, limit: number, take: Take): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    let ended = false
    function refuse(error: unknown): void {
      // Left half-read, the stream must live on: it may be the socket, over which the refusal is to be sent.
      stream.off('data', add).pause()
      reject(error)
    }
    function add(chunk: Buffer): void {
      length += chunk.length
      try {
        if (length > limit) throw bodyTooLarge(limit)
        take(chunk.length)
        chunks.push(chunk)
      } catch (error) {
        refuse(error)
      }
    }
    function closed(): void {
      // It closes after its end, too.
      if (!ended) reject(new XnordError('BODY_MALFORMED', 'The body is cut short.'))
    }
    if (stream.destroyed) {
      closed()
      return
    }
    stream.on('data', add)
    // Each comes once; Node's own way to say so makes two objects more for each.
    stream.on('close', closed)
    stream.on('error', reject)
    stream.on('end', () => {
      ended = true
      // Most bodies are one chunk, which needs no copy.
      resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length))
    })
  })
}

/**
 * The body, if it has arrived by then.
 *
 * @param deadline milliseconds on the clock of `performance.now()`
 * @param reading has to end by itself when the connection closes
 * @throws DEADLINE_EXCEEDED, and whatever `reading` throws
 */
export async function arrivedBy<T>(
  deadline: number,
  request: FastifyRequest,
  reading: Promise<T>,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new XnordError('DEADLINE_EXCEEDED', 'The deadline passed before the body had arrived.'))
      // While it is being read the rest of the body cannot be thrown away; once that ends, it can.
      reading.catch(() => request.raw.resume())
    }, deadline - performance.now())
  })
  try {
    return await Promise.race([reading, tooLate])
  } finally {
    clearTimeout(timer)
  }
}

export function bodyTooLarge(limit: number): XnordError {
  return new XnordError('BODY_TOO_LARGE', `At most ${limit} bytes are taken.`)
}
