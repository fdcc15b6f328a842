import { createRequire } from 'node:module'
import { jpegSegments } from './jpeg.ts'
import type { RawImage } from './pixels.ts'
import type { ImageInfo } from './probe.ts'
import { WasmDecoder } from './wasm-decoder.ts'

/** What is used of the package's interface to libjpeg-turbo; its views lie in the decoder's memory. */
interface LibJpeg {
  readonly JPEGDecoder: new () => {
    getEncodedBuffer(length: number): Uint8Array
    decode(): void
    getFrameInfo(): { readonly width: number; readonly height: number; readonly componentCount: 1 | 3 }
    /** A copy. */
    getDecodedBuffer(): Uint8ClampedArray<ArrayBuffer>
    delete(): void
  }
}

/** What Emscripten asks for; the result's members are added to it. */
interface LibJpegOptions {
  instantiateWasm(
    imports: Readonly<Record<string, unknown>>,
    done: (instance: WebAssembly.Instance) => void,
  ): WebAssembly.Instance['exports']
}

const libjpeg = new WasmDecoder('@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasm', module => {
  const create = createRequire(import.meta.url)('@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs') as (
    options: LibJpegOptions,
  ) => unknown
  const options: LibJpegOptions = {
    instantiateWasm(imports, done) {
      const instance = new WebAssembly.Instance(module, imports)
      done(instance)
      return instance.exports
    },
  }
  create(options) // its promise is for those who instantiate asynchronously
  return options as LibJpegOptions & LibJpeg
})

/** Beyond this libjpeg-turbo's vector instructions, which sharp has and WebAssembly has not, win. */
const maxPixels = 2 ** 16
const maxBytes = 2 ** 18

const baselineFrame = 0xc0
/** Segments that cannot change what the pixels are: DHT, DQT, DRI, APP0 (JFIF), APP14 (Adobe), COM. Not EXIF's APP1. */
const plain = new Set([0xc4, 0xdb, 0xdd, 0xe0, 0xe2, 0xee, 0xfe])

/**
 * Decodes a small JPEG of the ordinary kind, at once: baseline, one scan, nothing to turn.
 *
 * @returns null for any other, and for one that is damaged; what is wrong with it, if anything, is not said
 */
export function decodeSmallJpeg(bytes: Uint8Array, { width, height }: ImageInfo): RawImage | null {
  if (width * height > maxPixels || bytes.length > maxBytes) return null
  return isOrdinary(bytes) ? libjpeg.use(instance => decode(instance, bytes)) : null
}

function decode({ JPEGDecoder }: LibJpeg, bytes: Uint8Array): RawImage {
  const decoder = new JPEGDecoder()
  decoder.getEncodedBuffer(bytes.length).set(bytes)
  decoder.decode() // throws at a warning, too
  const { width, height, componentCount } = decoder.getFrameInfo()
  const data = new Uint8Array(decoder.getDecodedBuffer().buffer)
  decoder.delete()
  return { data, width, height, layout: componentCount === 1 ? 'grey' : 'rgb' }
}

function isOrdinary(bytes: Uint8Array): boolean {
  const segments = [...jpegSegments(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength))]
  const scan = segments.at(-1)!
  const frame = segments.find(({ marker }) => marker === baselineFrame)
  return (
    frame !== undefined &&
    isCommonlySampled(bytes, frame.offset) &&
    // One scan of all components: with more scans the work could be many times that of the pixels.
    bytes[scan.offset + 2] === bytes[frame.offset + 7] &&
    segments.every(segment => segment === scan || segment === frame || plain.has(segment.marker))
  )
}

/** Grey, 4:4:4, 4:2:2 or 4:2:0. */
function isCommonlySampled(bytes: Uint8Array, frame: number): boolean {
  if (bytes[frame + 7] === 1) return true
  const [luma, blue, red] = [bytes[frame + 9], bytes[frame + 12], bytes[frame + 15]]
  return bytes[frame + 7] === 3 && [0x11, 0x21, 0x22].includes(luma) && blue === 0x11 && red === 0x11
}
