/**
 * The container of a model file: safetensors, restricted to what xnord/1 uses.
 *
 * ```
 * u64 header length N | N bytes of JSON, padded with spaces | tensors, end to end, no gap
 * ```
 */

import { type ErrorCode, XnordError } from '../../errors.ts'
import { isRecord, parseStrictJson } from './strict-json.ts'

/** Numbers in memory as in the file: little-endian, which is the order of every machine that Node supports here. */
export type Tensor =
  | { readonly dtype: 'U8'; readonly shape: readonly number[]; readonly data: Uint8Array }
  | { readonly dtype: 'I32'; readonly shape: readonly number[]; readonly data: Int32Array }
  | { readonly dtype: 'F32'; readonly shape: readonly number[]; readonly data: Float32Array }

export type Dtype = Tensor['dtype']

export interface Container {
  readonly metadata: ReadonlyMap<string, string>
  readonly tensors: ReadonlyMap<string, Tensor>
}

export const MAX_FILE_BYTES = 2 ** 30
export const MAX_HEADER_BYTES = 2 ** 20
const LENGTH_BYTES = 8
const METADATA_KEY = '__metadata__'

export const elementBytes: Readonly<Record<Dtype, number>> = { U8: 1, I32: 4, F32: 4 }

interface Entry {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly begin: number
  readonly end: number
}

function fail(detail: string, code: ErrorCode = 'MODEL_HEADER_INVALID'): never {
  throw new XnordError(code, detail)
}

/**
 * Where the header ends and the tensors begin.
 *
 * @throws MODEL_TOO_LARGE, MODEL_HEADER_INVALID
 */
export function headerEnd(bytes: Uint8Array): number {
  if (bytes.length > MAX_FILE_BYTES) {
    fail(`the file has ${bytes.length} bytes, more than ${MAX_FILE_BYTES}`, 'MODEL_TOO_LARGE')
  }
  if (bytes.length < LENGTH_BYTES)
    fail(`the file ends after ${bytes.length} bytes, within the header's length`)
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)
  if (length > MAX_HEADER_BYTES) {
    fail(`the header claims ${length} bytes, more than ${MAX_HEADER_BYTES}`, 'MODEL_TOO_LARGE')
  }
  const end = LENGTH_BYTES + Number(length)
  if (end > bytes.length) fail(`the header claims ${length} bytes, the file has ${bytes.length}`)
  return end
}

/**
 * The tensors are views of `bytes` where alignment allows it, so `bytes` must not change afterwards.
 *
 * @throws MODEL_TOO_LARGE, MODEL_HEADER_INVALID, MODEL_TENSOR_INVALID
 */
export function readContainer(bytes: Uint8Array): Container {
  const dataBegin = headerEnd(bytes)
  const header = readHeader(bytes.subarray(LENGTH_BYTES, dataBegin))
  const metadata = readMetadata(header[METADATA_KEY])
  const entries = Object.entries(header)
    .filter(([name]) => name !== METADATA_KEY)
    .map(([name, value]) => readEntry(name, value))
    .sort((a, b) => a.begin - b.begin || a.end - b.end)
  checkCover(entries, bytes.length - dataBegin)
  const tensors = new Map(entries.map(entry => [entry.name, view(bytes, dataBegin, entry)]))
  return { metadata, tensors }
}

function readHeader(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new XnordError('MODEL_HEADER_INVALID', 'the header is not UTF-8', { cause })
  }
  if (!text.startsWith('{')) fail('the header does not begin with {')
  const header = parseStrictJson(text, 'the header')
  if (!isRecord(header)) fail('the header is not an object')
  return header
}

function readMetadata(value: unknown): ReadonlyMap<string, string> {
  if (!isRecord(value)) fail(`${METADATA_KEY} is not an object`)
  const metadata = new Map<string, string>()
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') fail(`${METADATA_KEY}.${key} is not a string`)
    metadata.set(key, text)
  }
  return metadata
}

function readEntry(name: string, value: unknown): Entry {
  const invalid = (problem: string) => fail(`${name} ${problem}`, 'MODEL_TENSOR_INVALID')
  if (!isRecord(value)) return invalid('is not an object')
  const keys = Object.keys(value).sort().join()
  if (keys !== 'data_offsets,dtype,shape') return invalid(`has the keys ${keys}`)
  const { dtype, shape, data_offsets: offsets } = value
  if (dtype !== 'U8' && dtype !== 'I32' && dtype !== 'F32') {
    return invalid(`has the dtype ${JSON.stringify(dtype)}, not U8, I32 or F32`)
  }
  if (!isLengths(shape)) return invalid('has a shape that is not a list of lengths')
  if (!isLengths(offsets) || offsets.length !== 2) return invalid('has data_offsets that are not two lengths')
  const [begin, end] = offsets
  let size = elementBytes[dtype]
  for (const length of shape) {
    size *= length
    if (size > MAX_FILE_BYTES) return invalid('is larger than a file may be')
  }
  if (end - begin !== size) {
    return invalid(`has the data_offsets [${begin}, ${end}], but its shape needs ${size} bytes`)
  }
  return { name, dtype, shape, begin, end }
}

function isLengths(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every(n => Number.isInteger(n) && n >= 0 && n <= MAX_FILE_BYTES)
}

/** Every byte of the data belongs to exactly one tensor, and tensors of four-byte elements come first. */
function checkCover(entries: readonly Entry[], dataBytes: number): void {
  let end = 0
  let width = 4
  for (const entry of entries) {
    if (entry.begin < end) fail(`${entry.name} overlaps the tensor before it`, 'MODEL_TENSOR_INVALID')
    if (entry.begin > end) fail(`${entry.name} leaves a gap before it`, 'MODEL_TENSOR_INVALID')
    if (elementBytes[entry.dtype] > width) {
      fail(`${entry.name} comes after a tensor of bytes`, 'MODEL_TENSOR_INVALID')
    }
    width = elementBytes[entry.dtype]
    end = entry.end
  }
  if (end !== dataBytes)
    fail(`the tensors take ${end} bytes, the file has ${dataBytes} for them`, 'MODEL_TENSOR_INVALID')
}

function view(bytes: Uint8Array, dataBegin: number, { dtype, shape, begin, end }: Entry): Tensor {
  const data = bytes.subarray(dataBegin + begin, dataBegin + end)
  if (dtype === 'U8') return { dtype, shape, data }
  const { buffer, byteOffset } = data.byteOffset % 4 === 0 ? data : data.slice()
  const length = (end - begin) / 4
  return dtype === 'I32'
    ? { dtype, shape, data: new Int32Array(buffer, byteOffset, length) }
    : { dtype, shape, data: new Float32Array(buffer, byteOffset, length) }
}

/** Tensors of four-byte elements first, else in the map's order; the header padded to eight bytes. */
export function writeContainer({ metadata, tensors }: Container): Uint8Array<ArrayBuffer> {
  const ordered = [...tensors].sort(([, a], [, b]) => elementBytes[b.dtype] - elementBytes[a.dtype])
  const header: Record<string, unknown> = { [METADATA_KEY]: Object.fromEntries(metadata) }
  let offset = 0
  for (const [name, { dtype, shape, data }] of ordered) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + data.byteLength] }
    offset += data.byteLength
  }
  const text = new TextEncoder().encode(JSON.stringify(header))
  const headerBytes = Math.ceil(text.length / 8) * 8
  const file = new Uint8Array(LENGTH_BYTES + headerBytes + offset)
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true)
  file.set(text, LENGTH_BYTES)
  file.fill(0x20, LENGTH_BYTES + text.length, LENGTH_BYTES + headerBytes)
  let position = LENGTH_BYTES + headerBytes
  for (const [, { data }] of ordered) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position)
    position += data.byteLength
  }
  return file
}
