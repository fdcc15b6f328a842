import { XnordError } from '../errors.ts'
import { isFrameHeader, jpegSegments } from './jpeg.ts'

/** What an image file says of itself in its header. */
export interface ImageInfo {
  readonly format: 'png' | 'jpeg' | 'webp'
  /** In pixels, before any turning by EXIF. */
  readonly width: number
  readonly height: number
  /** A JPEG of four inks, not of light. */
  readonly cmyk: boolean
}

const pngSignature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]

/**
 * Reads the header of a PNG, JPEG or WebP file, by its first bytes whatever its name says. Nothing is decoded, and the
 * work is bounded whatever the bytes.
 *
 * @param maxPixels the most pixels (width × height) that an image may have
 * @throws XnordError IMAGE_EMPTY, IMAGE_FORMAT_UNKNOWN, IMAGE_MALFORMED, IMAGE_TOO_LARGE
 */
export function probeImage(bytes: Uint8Array, maxPixels: number): ImageInfo {
  if (bytes.length === 0) throw new XnordError('IMAGE_EMPTY', 'The file holds no bytes.')
  const info = readHeader(bytes)
  if (info.width === 0 || info.height === 0) {
    throw new XnordError('IMAGE_MALFORMED', `The header says ${info.width} × ${info.height} pixels.`)
  }
  if (info.width * info.height > maxPixels) {
    throw new XnordError(
      'IMAGE_TOO_LARGE',
      `The image has ${info.width} × ${info.height} pixels; the limit is ${maxPixels} in all.`,
    )
  }
  return info
}

function readHeader(bytes: Uint8Array): ImageInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (startsWith(bytes, 0, pngSignature)) return readPng(view)
  if (startsWith(bytes, 0, [0xff, 0xd8, 0xff])) return readJpeg(view)
  if (hasTag(bytes, 0, 'RIFF') && hasTag(bytes, 8, 'WEBP')) return readWebp(bytes, view)
  throw new XnordError('IMAGE_FORMAT_UNKNOWN', 'The first bytes are not those of a PNG, JPEG or WebP file.')
}

/** PNG (ISO 15948) clause 11.2.1: IHDR is the first chunk, and its data are 13 bytes. */
function readPng(view: DataView): ImageInfo {
  requireLength(view, 33)
  if (view.getUint32(8) !== 13 || view.getUint32(12) !== 0x49484452) {
    throw new XnordError('IMAGE_MALFORMED', 'The PNG file does not begin with its header chunk.')
  }
  return { format: 'png', width: view.getUint32(16), height: view.getUint32(20), cmyk: false }
}

/** T.81 clause B.2.2: a frame header holds precision, height, width and the number of components. */
function readJpeg(view: DataView): ImageInfo {
  for (const { marker, offset } of jpegSegments(view)) {
    if (!isFrameHeader(marker)) continue
    requireLength(view, offset + 8)
    return {
      format: 'jpeg',
      width: view.getUint16(offset + 5),
      height: view.getUint16(offset + 3),
      cmyk: view.getUint8(offset + 7) === 4,
    }
  }
  throw new XnordError('IMAGE_MALFORMED', 'The JPEG file has no frame header before its first scan.')
}

/** RFC 9649, section 2: the first chunk is VP8X (extended), VP8L (lossless) or VP8 (lossy). */
function readWebp(bytes: Uint8Array, view: DataView): ImageInfo {
  requireLength(view, 30)
  if (hasTag(bytes, 12, 'VP8X')) {
    return { format: 'webp', width: uint24(view, 24) + 1, height: uint24(view, 27) + 1, cmyk: false }
  }
  if (hasTag(bytes, 12, 'VP8L') && view.getUint8(20) === 0x2f) {
    const sizes = view.getUint32(21, true)
    return {
      format: 'webp',
      width: (sizes & 0x3fff) + 1,
      height: ((sizes >>> 14) & 0x3fff) + 1,
      cmyk: false,
    }
  }
  if (hasTag(bytes, 12, 'VP8 ') && startsWith(bytes, 23, [0x9d, 0x01, 0x2a])) {
    return {
      format: 'webp',
      width: view.getUint16(26, true) & 0x3fff,
      height: view.getUint16(28, true) & 0x3fff,
      cmyk: false,
    }
  }
  throw new XnordError('IMAGE_MALFORMED', 'The WebP file does not begin with an image chunk.')
}

function uint24(view: DataView, offset: number): number {
  return view.getUint16(offset, true) + view.getUint8(offset + 2) * 0x10000
}

function startsWith(bytes: Uint8Array, offset: number, expected: readonly number[]): boolean {
  return expected.every((value, index) => bytes[offset + index] === value)
}

function hasTag(bytes: Uint8Array, offset: number, tag: string): boolean {
  return [...tag].every((character, index) => bytes[offset + index] === character.charCodeAt(0))
}

function requireLength(view: DataView, length: number): void {
  if (view.byteLength < length) {
    throw new XnordError(
      'IMAGE_MALFORMED',
      `The file ends within its header, after ${view.byteLength} bytes.`,
    )
  }
}
