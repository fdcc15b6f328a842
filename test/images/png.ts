import { crc32, deflateSync } from 'node:zlib'

/** Numbers as the PNG standard gives them. */
export const pngColour = { grey: 0, rgb: 2, palette: 3, greyAlpha: 4, rgba: 6 } as const

export interface PngOptions {
  readonly width: number
  readonly height: number
  /** Bits a sample; 8 unless told. */
  readonly depth?: 1 | 2 | 4 | 8 | 16
  readonly colour: number
  /** Rows from the top, packed as the depth says, without filter bytes; of an interlaced file, its passes one by one. */
  readonly rows: readonly Uint8Array[]
  readonly interlaced?: boolean
  /** Of each row, in order; 0 unless told. The rows are as they lie in the file, and no filter is applied to them. */
  readonly filters?: readonly number[]
  /** Chunks between the header and the pixels. */
  readonly extra?: readonly Uint8Array[]
}

/** A PNG file, by ISO 15948. */
export function encodePng(options: PngOptions): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(options.width, 0)
  header.writeUInt32BE(options.height, 4)
  header[8] = options.depth ?? 8
  header[9] = options.colour
  header[12] = options.interlaced ? 1 : 0
  const scanlines = Buffer.concat(
    options.rows.flatMap((row, index) => [Uint8Array.of(options.filters?.[index] ?? 0), row]),
  )
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    pngChunk('IHDR', header),
    ...(options.extra ?? []),
    pngChunk('IDAT', deflateSync(scanlines)),
    pngChunk('IEND', Buffer.alloc(0)),
  ])
}

/** A PNG file of 8-bit grey pixels, height × width. */
export function encodeGreyPng(pixels: Uint8Array, width: number, height: number): Buffer {
  const rows = Array.from({ length: height }, (_, y) => pixels.subarray(y * width, (y + 1) * width))
  return encodePng({ width, height, colour: pngColour.grey, rows })
}

export function pngChunk(type: string, data: Uint8Array): Buffer {
  const chunk = Buffer.alloc(12 + data.length)
  chunk.writeUInt32BE(data.length, 0)
  chunk.write(type, 4, 'latin1')
  chunk.set(data, 8)
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + data.length)), 8 + data.length)
  return chunk
}
