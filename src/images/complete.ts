import { XnordError } from '../errors.ts'
import { isSegment, jpegSegments, startOfScan } from './jpeg.ts'
import type { ImageInfo } from './probe.ts'

/**
 * Each scan costs libjpeg a walk over all coefficients, however few bytes it has: of 4096 × 4096 pixels 2,000 scans in
 * 100 KB took seconds. Encoders write about ten.
 */
const maxScans = 100
const endOfImage = 0xd9

/**
 * Refuses a file whose end is missing where its decoder would not: libpng and libjpeg stop at the last pixel, and do
 * not look for what should come behind it. libwebp compares the file with the length in its header by itself. A JPEG of
 * over 100 scans is refused, too.
 *
 * @throws XnordError IMAGE_MALFORMED
 */
export function requireComplete(bytes: Uint8Array, format: ImageInfo['format']): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if ((format === 'png' && !hasPngEnd(view)) || (format === 'jpeg' && !hasJpegEnd(bytes, view))) {
    throw new XnordError('IMAGE_MALFORMED', `The ${format} file is cut short.`)
  }
}

/** Whether the walk over the chunks arrives at IEND. */
function hasPngEnd(view: DataView): boolean {
  let offset = 8
  while (offset + 12 <= view.byteLength) {
    if (view.getUint32(offset + 4) === 0x49454e44) return true
    offset += 12 + view.getUint32(offset)
  }
  return false
}

/**
 * Whether an end of image follows the scans. Segments are skipped as libjpeg does, so that none can hide a scan or make
 * up an end.
 */
function hasJpegEnd(bytes: Uint8Array, view: DataView): boolean {
  let { marker, offset } = [...jpegSegments(view)].at(-1)!
  let scans = 0
  while (marker !== endOfImage) {
    if (marker === startOfScan && ++scans > maxScans) {
      throw new XnordError('IMAGE_MALFORMED', `The jpeg file has over ${maxScans} scans.`)
    }
    if (offset + 2 > bytes.length) return false
    offset += view.getUint16(offset)
    do {
      offset = bytes.indexOf(0xff, offset) + 1
      if (offset === 0) return false
      marker = bytes[offset]
    } while (marker !== endOfImage && !isSegment(marker))
    offset++
  }
  return true
}
