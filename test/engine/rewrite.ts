import { createHash } from 'node:crypto'

/** The JSON of a model file, to be changed at will. */
export interface Header {
  // biome-ignore lint/suspicious/noExplicitAny: tests put any wrong value anywhere
  readonly tensors: Record<string, any>
  readonly metadata: Record<string, unknown>
  // biome-ignore lint/suspicious/noExplicitAny: tests put any wrong value anywhere
  readonly xnord: any
}

const LENGTH_BYTES = 8

function headerBytes(file: Uint8Array): number {
  return Number(Buffer.from(file).readBigUInt64LE(0))
}

export function headerText(file: Uint8Array): string {
  return Buffer.from(file).toString('utf8', LENGTH_BYTES, LENGTH_BYTES + headerBytes(file))
}

export function dataOf(file: Uint8Array): Uint8Array {
  return file.slice(LENGTH_BYTES + headerBytes(file))
}

/** A file of such a header and data, as they are. */
export function join(header: string | Uint8Array, data: Uint8Array): Uint8Array {
  const text = typeof header === 'string' ? Buffer.from(header) : header
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeBigUInt64LE(BigInt(text.length))
  return new Uint8Array(Buffer.concat([length, text, data]))
}

/** A file of such a header and data. A digest in it is made right; where there is none, none is made. */
export function assemble(header: string | Uint8Array, data: Uint8Array): Uint8Array {
  return withDigest(join(header, data))
}

/** The same file with its digest made right. */
export function withDigest(file: Uint8Array): Uint8Array {
  const bytes = Buffer.from(file)
  const key = bytes.indexOf('"digest":"')
  if (key < 0) return new Uint8Array(bytes)
  const begin = key + '"digest":"'.length
  bytes.fill('0', begin, begin + 64)
  bytes.write(createHash('sha256').update(bytes).digest('hex'), begin)
  return new Uint8Array(bytes)
}

/** The file with its header changed and the digest made right again. */
export function rewrite(file: Uint8Array, change: (header: Header) => void, data = dataOf(file)): Uint8Array {
  const { __metadata__: metadata, ...tensors } = JSON.parse(headerText(file))
  const xnord = JSON.parse(metadata.xnord)
  const header = { tensors, metadata, xnord }
  change(header)
  if (metadata.xnord !== undefined) metadata.xnord = JSON.stringify(xnord)
  return assemble(JSON.stringify({ __metadata__: metadata, ...tensors }), data)
}

/** The file with some data of a tensor changed and the digest made right again. */
export function retensor(file: Uint8Array, name: string, change: (bytes: Uint8Array) => void): Uint8Array {
  const [begin, end] = JSON.parse(headerText(file))[name].data_offsets
  const data = dataOf(file)
  change(data.subarray(begin, end))
  return assemble(headerText(file), data)
}
