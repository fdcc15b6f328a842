import type { IncomingMessage } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type ErrorData, XnordError } from '../errors.ts'
import { requireBelow } from '../serving/queue.ts'
import type { Row, ServedModel } from '../serving/types.ts'
import { bodyTooLarge, encodingOf, holdBody, readAll, readDecoded, type Take } from './body.ts'
import type { HttpContext } from './context.ts'
import { toXnordError } from './fastify-errors.ts'

/** One row of a request: what was sent, or why it cannot be used. */
export interface Upload {
  /** The part's file name; null where there is none. */
  readonly name: string | null
  readonly row: Row | ErrorData
}

/** What the content-type parsers leave as the request's body, which is still to be read: after the query has been checked. */
export interface RawBody {
  readonly kind: Row['kind']
}

/**
 * The rows of a request, in the order of its parts.
 *
 * @param find the model that is to answer, asked for when the body is there: it may have been swapped meanwhile
 * @throws FILE_MISSING, BODY_TOO_LARGE, BODY_MALFORMED, CONTENT_ENCODING_UNSUPPORTED, TOO_MANY_PARTS,
 *   PARAMETER_INVALID, PIXELS_LENGTH, REQUEST_TOO_LARGE_FOR_QUEUE, UPLOADS_FULL, CLIENT_GONE, and what `find` throws
 */
export async function readUploads(
  request: FastifyRequest,
  reply: FastifyReply,
  find: () => ServedModel,
  context: HttpContext,
): Promise<readonly Upload[]> {
  const { maxBodyBytes, maxFileBytes, queueRows } = context.config
  const take = holdBody(request, reply, context, maxBodyBytes)
  if (request.isMultipart()) {
    if (encodingOf(request.headers) !== null)
      throw new XnordError('CONTENT_ENCODING_UNSUPPORTED', 'A multipart body is taken as it is only.')
    return Promise.race([readParts(request, context, take), overflow(request.raw, maxBodyBytes)])
  }
  if (request.body === undefined) throw new XnordError('FILE_MISSING', 'The request has no body.')
  const { kind } = request.body as RawBody
  if (kind === 'pixels') return splitPixels(await readDecoded(request, maxBodyBytes, take), find(), queueRows)
  return [{ name: null, row: { kind, bytes: await readDecoded(request, maxFileBytes, take) } }]
}

async function readParts(
  request: FastifyRequest,
  { config }: HttpContext,
  take: Take,
): Promise<readonly Upload[]> {
  const uploads: Upload[] = []
  try {
    for await (const part of request.parts()) {
      if (part.type === 'field') {
        throw new XnordError(
          'PARAMETER_INVALID',
          `The part ${JSON.stringify(part.fieldname)} is not a file; parameters go into the query.`,
        )
      }
      const bytes = await readAll(part.file, config.maxBodyBytes, take)
      const name = part.filename ? part.filename : null
      const tooLarge = part.file.truncated
      uploads.push({ name, row: tooLarge ? bodyTooLarge(config.maxFileBytes).data : { kind: 'file', bytes } })
    }
  } catch (error) {
    throw partError(error, config.maxFiles)
  }
  if (uploads.length === 0)
    throw new XnordError('FILE_MISSING', 'The multipart body has no part that is a file.')
  return uploads
}

/**
 * Settles only when more bytes have arrived than the limit, whatever they are: the multipart parser drops the rest of a
 * file that is too large, and what comes before the first part, without a word.
 *
 * @throws BODY_TOO_LARGE
 */
function overflow(request: IncomingMessage, limit: number): Promise<never> {
  return new Promise((_resolve, reject) => {
    let bytes = 0
    request.on('data', function count(chunk: Buffer) {
      bytes += chunk.length
      if (bytes <= limit) return
      request.off('data', count)
      reject(bodyTooLarge(limit))
    })
  })
}

/** The multipart parser throws plain errors for what it cannot read. */
function partError(error: unknown, maxFiles: number): XnordError {
  const known = toXnordError(error, 'BODY_MALFORMED')
  if (known.code === 'TOO_MANY_PARTS')
    return new XnordError(known.code, `At most ${maxFiles} files are taken.`)
  if (known.code !== 'INTERNAL') return known
  return new XnordError('BODY_MALFORMED', known.message, { cause: error })
}

function splitPixels(bytes: Uint8Array, { input }: ServedModel, maxRows: number): readonly Upload[] {
  const rowBytes = input.height * input.width * input.channels
  if (bytes.length === 0 || bytes.length % rowBytes !== 0) {
    throw new XnordError(
      'PIXELS_LENGTH',
      `A row is ${input.height} × ${input.width} × ${input.channels} = ${rowBytes} bytes; the body has ${bytes.length}.`,
    )
  }
  requireBelow(maxRows, bytes.length / rowBytes)
  return Array.from({ length: bytes.length / rowBytes }, (_, row) => ({
    name: null,
    row: { kind: 'pixels', bytes: bytes.subarray(row * rowBytes, (row + 1) * rowBytes) },
  }))
}
