import { XnordError } from '../../errors.ts'
import type { Row, ServedModel } from '../../serving/types.ts'
import type { InferInput } from '../schemas/v2.ts'

/** What a tensor may take, whatever it claims. */
export interface InputLimits {
  /** Of one encoded file. */
  readonly maxFileBytes: number
  /** Of all pixels: no more than the numbers that a body can hold. */
  readonly maxPixelBytes: number
}

/**
 * The rows of the input tensor `image`.
 *
 * @throws TENSOR_INVALID, BODY_TOO_LARGE
 */
export function readInput(tensor: InferInput, model: ServedModel, limits: InputLimits): readonly Row[] {
  if (tensor.name !== 'image') throw invalid(`there is no input ${JSON.stringify(tensor.name)}, only "image"`)
  switch (tensor.datatype) {
    case 'UINT8':
      return readPixels(tensor, model, limits.maxPixelBytes)
    case 'BYTES':
      return readFiles(tensor, limits.maxFileBytes)
    default:
      throw invalid(`datatype is UINT8 or BYTES, not ${JSON.stringify(tensor.datatype)}`)
  }
}

function readPixels({ shape, data }: InferInput, { input }: ServedModel, maxBytes: number): readonly Row[] {
  const { height, width, channels } = input
  const [rows = 0, ...rest] = shape
  if (rows === 0 || rest.length !== 3 || rest[0] !== height || rest[1] !== width || rest[2] !== channels) {
    throw invalid(
      `the shape is [n, ${height}, ${width}, ${channels}] with n from 1, not [${shape.join(', ')}]`,
    )
  }
  const rowBytes = height * width * channels
  // Checked before anything is allocated: the shape is only a claim.
  if (rows * rowBytes > maxBytes)
    throw invalid(`the shape claims ${rows * rowBytes} bytes; at most ${maxBytes} fit`)
  const pixels = new Uint8Array(rows * rowBytes)
  const end = Array.isArray(data[0])
    ? fillNested(data, shape, 0, pixels, 0)
    : fillFlat(data, pixels, 0, pixels.length)
  if (end !== pixels.length) throw invalid('the data do not fill the shape')
  return Array.from({ length: rows }, (_, row) => ({
    kind: 'pixels',
    bytes: pixels.subarray(row * rowBytes, (row + 1) * rowBytes),
  }))
}

/** Writes one axis of nested data at an offset; returns where the next one begins. */
function fillNested(
  data: readonly unknown[],
  shape: readonly number[],
  axis: number,
  pixels: Uint8Array,
  offset: number,
): number {
  if (axis === shape.length - 1) return fillFlat(data, pixels, offset, shape[axis]!)
  if (data.length !== shape[axis])
    throw invalid(`axis ${axis} has ${data.length} entries, not ${shape[axis]}`)
  let end = offset
  for (const inner of data) {
    if (!Array.isArray(inner)) throw invalid(`the data are not nested as the shape says`)
    end = fillNested(inner, shape, axis + 1, pixels, end)
  }
  return end
}

function fillFlat(data: readonly unknown[], pixels: Uint8Array, offset: number, length: number): number {
  if (data.length !== length) throw invalid(`there are ${data.length} values where ${length} belong`)
  for (const [index, value] of data.entries()) {
    if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > 255) {
      throw invalid(`value ${offset + index} is not an integer from 0 to 255`)
    }
    pixels[offset + index] = value as number
  }
  return offset + length
}

function readFiles({ shape, data }: InferInput, maxBytes: number): readonly Row[] {
  if (shape.length !== 1 || shape[0] !== data.length || data.length === 0) {
    throw invalid(`the shape is [n] with n from 1, as many as there are files, not [${shape.join(', ')}]`)
  }
  return data.map((text, index) => ({ kind: 'file', bytes: decodeBase64(text, index, maxBytes) }))
}

/** Node's own decoder skips what is not base64; a file must not change on its way in. */
function decodeBase64(text: unknown, index: number, maxBytes: number): Uint8Array {
  if (typeof text !== 'string' || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
    throw invalid(`element ${index} is not base64`)
  }
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length > maxBytes)
    throw new XnordError('BODY_TOO_LARGE', `Element ${index} exceeds ${maxBytes} bytes.`)
  return bytes
}

function invalid(what: string): XnordError {
  return new XnordError('TENSOR_INVALID', `image: ${what}.`)
}
