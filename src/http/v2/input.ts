import { XnordError } from '../../errors.ts'
import { requireBelow } from '../../serving/queue.ts'
import type { Row, ServedModel } from '../../serving/types.ts'
import type { Take } from '../body.ts'
import type { InferInput } from '../schemas/v2.ts'
import { readElements, spreadBits } from './binary.ts'

/** What a tensor may take, whatever it claims. */
export interface InputLimits {
  /** More than these no queue takes: nothing is made of them. */
  readonly maxRows: number
  /** Of one encoded file. */
  readonly maxFileBytes: number
  /** Of all pixels in JSON: no more than the numbers that a body can hold. */
  readonly maxPixelBytes: number
  /** Counts the bytes that bits are spread to. */
  readonly take: Take
}

/**
 * The rows of the input tensor `image`. Those in binary are views of the body.
 *
 * @param binary what follows the JSON of the request
 * @throws TENSOR_INVALID, BODY_TOO_LARGE, REQUEST_TOO_LARGE_FOR_QUEUE, and what `limits.take` throws
 */
export function readInput(
  tensor: InferInput,
  binary: Uint8Array,
  model: ServedModel,
  limits: InputLimits,
): readonly Row[] {
  const { name, datatype, parameters, data } = tensor
  if (name !== 'image') throw invalid(`there is no input ${JSON.stringify(name)}, only "image"`)
  if (datatype !== 'UINT8' && datatype !== 'BYTES')
    throw invalid(`datatype is UINT8 or BYTES, not ${JSON.stringify(datatype)}`)
  const size = parameters?.binary_data_size
  const packed = parameters?.bit_packed === true
  if (data === undefined && size === undefined) throw noData(parameters)
  if (data !== undefined && size !== undefined) throw invalid('it has both data and binary_data_size')
  if ((size ?? 0) !== binary.length) {
    throw invalid(
      size === undefined
        ? `${binary.length} bytes follow the JSON, and no binary_data_size claims them`
        : `binary_data_size is ${size}, and ${binary.length} bytes follow the JSON`,
    )
  }
  if (datatype === 'BYTES') {
    if (packed) throw invalid('bit_packed is for UINT8')
    return readFiles(tensor.shape, data, binary, limits)
  }
  const rows = rowsOf(tensor.shape, model)
  if (packed) {
    if (data !== undefined) throw invalid('bit_packed is for binary data')
    return readBits(binary, rows, model, limits)
  }
  return data === undefined ? readBytes(binary, rows, model, limits) : readNumbers(data, tensor.shape, limits)
}

/** Bytes of one row of pixels. */
export function rowBytesOf({ input: { height, width, channels } }: ServedModel): number {
  return height * width * channels
}

function noData(parameters: object | undefined): XnordError {
  return invalid(
    parameters !== undefined && 'shared_memory_region' in parameters
      ? 'shared memory is not offered'
      : 'it has neither data nor binary_data_size',
  )
}

function rowsOf(shape: readonly number[], { input: { height, width, channels } }: ServedModel): number {
  const rows = shape[0]
  if (
    rows === undefined ||
    rows === 0 ||
    shape.length !== 4 ||
    shape[1] !== height ||
    shape[2] !== width ||
    shape[3] !== channels
  ) {
    throw invalid(
      `the shape is [n, ${height}, ${width}, ${channels}] with n from 1, not [${shape.join(', ')}]`,
    )
  }
  return rows
}

function readBytes(bytes: Uint8Array, rows: number, model: ServedModel, limits: InputLimits): readonly Row[] {
  const rowBytes = rowBytesOf(model)
  requireSize(bytes, rows, rowBytes)
  return split(bytes, rows, rowBytes, limits)
}

function readBits(bits: Uint8Array, rows: number, model: ServedModel, limits: InputLimits): readonly Row[] {
  const rowBytes = rowBytesOf(model)
  const packedBytes = Math.ceil(rowBytes / 8)
  requireSize(bits, rows, packedBytes)
  limits.take(rows * rowBytes)
  const pixels = new Uint8Array(rows * rowBytes)
  for (let row = 0; row < rows; row++)
    spreadBits(bits, row * packedBytes, 255, pixels, row * rowBytes, rowBytes)
  return split(pixels, rows, rowBytes, limits)
}

function requireSize({ length }: Uint8Array, rows: number, rowBytes: number): void {
  if (length !== rows * rowBytes)
    throw invalid(`the shape takes ${rows} × ${rowBytes} bytes, and binary_data_size is ${length}`)
}

function readNumbers(
  data: readonly unknown[],
  shape: readonly number[],
  limits: InputLimits,
): readonly Row[] {
  const { maxPixelBytes } = limits
  const bytes = shape.reduce((product, length) => product * length)
  // Checked before anything is allocated: the shape is only a claim.
  if (bytes > maxPixelBytes) throw invalid(`the shape claims ${bytes} bytes; at most ${maxPixelBytes} fit`)
  const pixels = new Uint8Array(bytes)
  const end = Array.isArray(data[0])
    ? fillNested(data, shape, 0, pixels, 0)
    : fillFlat(data, pixels, 0, pixels.length)
  if (end !== pixels.length) throw invalid('the data do not fill the shape')
  return split(pixels, shape[0]!, bytes / shape[0]!, limits)
}

function split(pixels: Uint8Array, rows: number, rowBytes: number, { maxRows }: InputLimits): readonly Row[] {
  requireBelow(maxRows, rows)
  if (rows === 1) return [{ kind: 'pixels', bytes: pixels }]
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
  for (let index = 0; index < length; index++) {
    const value = data[index]
    // Equal to its own low byte is an integer from 0 to 255, and nothing else.
    if (((value as number) & 255) !== value)
      throw invalid(`value ${offset + index} is not an integer from 0 to 255`)
    pixels[offset + index] = value
  }
  return offset + length
}

function readFiles(
  shape: readonly number[],
  data: readonly unknown[] | undefined,
  binary: Uint8Array,
  { maxRows, maxFileBytes }: InputLimits,
): readonly Row[] {
  const [count = 0] = shape
  if (shape.length !== 1 || count === 0 || (data !== undefined && data.length !== count)) {
    throw invalid(`the shape is [n] with n from 1, as many as there are files, not [${shape.join(', ')}]`)
  }
  requireBelow(maxRows, count)
  const files = data === undefined ? readElements(binary, count, invalid) : data.map(decodeBase64)
  return files.map((bytes, index) => {
    if (bytes.length > maxFileBytes)
      throw new XnordError('BODY_TOO_LARGE', `Element ${index} exceeds ${maxFileBytes} bytes.`)
    return { kind: 'file', bytes }
  })
}

/** Node's own decoder skips what is not base64; a file must not change on its way in. */
function decodeBase64(text: unknown, index: number): Uint8Array {
  if (typeof text !== 'string' || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
    throw invalid(`element ${index} is not base64`)
  }
  return Buffer.from(text, 'base64')
}

function invalid(what: string): XnordError {
  return new XnordError('TENSOR_INVALID', `image: ${what}.`)
}
