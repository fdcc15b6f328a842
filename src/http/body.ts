import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { XnordError } from '../errors.ts'
import type { HttpContext } from './context.ts'

/** A body that is still to be read: after the query has been checked, within limits. */
export interface UnreadBody {
  readonly stream: Readable
}

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
  reply.raw.once('close', () => heldBytes.give(held))
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

/** @throws BODY_TOO_LARGE, and whatever `take` throws; the rest of the stream is then left to be read */
export async function readAll(stream: Readable, limit: number, take: Take): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  // Left half-read, the stream must live on: it is the socket, and the refusal is to be sent over it.
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > limit) throw bodyTooLarge(limit)
    take(chunk.length)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, length)
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
