import type { IncomingHttpHeaders } from 'node:http'
import { XnordError } from '../../errors.ts'
import type { ServedModel } from '../../serving/types.ts'
import { bodyTooLarge } from '../body.ts'
import type { InferRequest } from '../schemas/v2.ts'
import { rowBytesOf } from './input.ts'

const nothing = new Uint8Array()

/** A request for inference, not validated yet, and what follows its JSON. */
export interface InferMessage {
  readonly head: unknown
  readonly binary: Uint8Array
}

/**
 * Bytes of JSON at the beginning of a body; null where it is nothing else.
 *
 * @throws TENSOR_INVALID
 */
export function headerLengthOf(headers: IncomingHttpHeaders): number | null {
  const text = headers['inference-header-content-length']
  if (text === undefined) return null
  if (typeof text === 'string' && /^\d{1,15}$/.test(text)) return Number(text)
  throw new XnordError('TENSOR_INVALID', 'Inference-Header-Content-Length is not a number of bytes.')
}

/**
 * Takes a body apart: JSON, JSON and binary data, or binary data alone, which are the rows of the only input.
 *
 * @param maxJsonBytes of which the JSON may be
 * @param parse of JSON, throwing what is to be answered
 * @throws TENSOR_INVALID, BODY_TOO_LARGE, and what `parse` throws
 */
export function readMessage(
  bytes: Buffer,
  headerLength: number | null,
  maxJsonBytes: number,
  model: ServedModel,
  parse: (text: Buffer) => unknown,
): InferMessage {
  if (headerLength === 0) return { head: headOf(bytes, model), binary: bytes }
  const length = headerLength ?? bytes.length
  if (length > bytes.length) {
    throw new XnordError(
      'TENSOR_INVALID',
      `Inference-Header-Content-Length is ${length}, and the body has ${bytes.length} bytes.`,
    )
  }
  if (length > maxJsonBytes) throw bodyTooLarge(maxJsonBytes)
  const json = bytes.subarray(0, length)
  return { head: parse(json), binary: length === bytes.length ? nothing : bytes.subarray(length) }
}

/** What the JSON would say of a body that has none: rows of pixels in, and all outputs in binary. */
function headOf({ length }: Uint8Array, model: ServedModel): InferRequest {
  const { height, width, channels } = model.input
  const rowBytes = rowBytesOf(model)
  if (length % rowBytes !== 0) {
    throw new XnordError(
      'TENSOR_INVALID',
      `image: a row is ${height} × ${width} × ${channels} = ${rowBytes} bytes; the body has ${length}.`,
    )
  }
  return {
    parameters: { binary_data_output: true },
    inputs: [
      {
        name: 'image',
        datatype: 'UINT8',
        shape: [length / rowBytes, height, width, channels],
        parameters: { binary_data_size: length },
      },
    ],
  }
}
