import type { RawImage } from './pixels.ts'
import type { ImageInfo } from './probe.ts'
import { WasmDecoder } from './wasm-decoder.ts'

/** What is used of LodePNG's C interface; numbers are addresses and lengths in bytes. */
interface LodePng {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly malloc: (length: number) => number
  readonly free: (address: number) => void
  /** Writes the pixels' address, width and height where the first three say. */
  readonly lodepng_decode32: (
    pixels: number,
    width: number,
    height: number,
    file: number,
    length: number,
  ) => number
}

const lodepng = new WasmDecoder(
  '@cwasm/lodepng/lodepng.wasm',
  module => new WebAssembly.Instance(module).exports as unknown as LodePng,
)

/**
 * The most bytes of pixels, as packed in the file: 64 × 64 in colour with alpha. LodePNG inflates all that is there, and
 * only then compares. Deflate makes at most 1032 bytes of one, so that a file costs at most 19 megabytes for an instant.
 */
const maxRawBytes = 64 * (1 + 4 * 64)

const channelsOf = new Map([
  [0, 1],
  [2, 3],
  [3, 1],
  [4, 2],
  [6, 4],
])

const chunk = (type: string) => Buffer.from(type, 'latin1').readUInt32BE()
const header = chunk('IHDR')
const palette = chunk('PLTE')
const transparency = chunk('tRNS')
const pixels = chunk('IDAT')
const end = chunk('IEND')

/** Chunks that say nothing of the pixels' bytes, with the length that they must have. */
const ignored = new Map([
  [chunk('gAMA'), 4],
  [chunk('sRGB'), 1],
  [chunk('pHYs'), 9],
])

/**
 * Decodes a small PNG of the ordinary kind, at once.
 *
 * @returns null for any other, and for one that is damaged; what is wrong with it, if anything, is not said
 */
export function decodeSmallPng(bytes: Uint8Array, info: ImageInfo): RawImage | null {
  return isOrdinary(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), info)
    ? lodepng.use(instance => decode(instance, bytes))
    : null
}

function decode({ memory, malloc, free, lodepng_decode32 }: LodePng, bytes: Uint8Array): RawImage {
  const file = malloc(bytes.length)
  const result = malloc(12)
  if (file === 0 || result === 0) throw new RangeError('LodePNG has no memory left.')
  new Uint8Array(memory.buffer, file).set(bytes)
  const error = lodepng_decode32(result, result + 4, result + 8, file, bytes.length)
  if (error !== 0) throw new Error(`LodePNG gave error ${error}.`)
  const [address, width, height] = new Uint32Array(memory.buffer, result, 3)
  const data = new Uint8Array(memory.buffer, address, 4 * width * height).slice()
  for (const allocated of [address, result, file]) free(allocated)
  return { data, width, height, layout: 'rgba' }
}

/**
 * Whether the file is small and its chunks are as ISO 15948 clause 5.6 orders them, none twice, and no colour stands for
 * transparency. Decoders differ in what they make of others. IHDR is known to be there.
 */
function isOrdinary(view: DataView, { width, height }: ImageInfo): boolean {
  const depth = view.getUint8(24)
  const colour = view.getUint8(25)
  const rawBytes = height * (1 + Math.ceil((width * depth * (channelsOf.get(colour) ?? 1)) / 8))
  if (rawBytes > maxRawBytes) return false
  let last = header
  let colours = 0
  let data = 0
  for (let offset = 33; offset + 12 <= view.byteLength; ) {
    const length = view.getUint32(offset)
    const type = view.getUint32(offset + 4)
    if (type === pixels) {
      if (colour === 3 && colours === 0) return false
      data += length
      last = pixels
    } else if (type === end) {
      // Pixels that do not compress take 9 bits a byte in the fixed code of deflate; more is no honest file.
      return last === pixels && data <= (rawBytes * 9) / 8 + 64
    } else if (type === palette && last === header) {
      colours = length / 3
      if (colour !== 3 || !Number.isInteger(colours) || colours < 1 || colours > 2 ** depth) return false
      last = palette
    } else if (type === transparency && last === palette) {
      if (length > colours) return false
      last = transparency
    } else if (last !== header || ignored.get(type) !== length) {
      return false
    }
    offset += 12 + length
  }
  return false
}
