import { XnordError } from '../errors.ts'
import { jpegSegments } from './jpeg.ts'
import type { ImageInfo } from './probe.ts'

/**
 * Refuses a file whose end is missing where its decoder would not: libpng and libjpeg stop at the last pixel, and do
 * not look for what should come behind it. libwebp compares the file with the length in its header by itself.
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

/** Whether an end of image follows the start of the first scan: within a scan FF is followed by 00 or a restart marker. */
function hasJpegEnd(bytes: Uint8Array, view: DataView): boolean {
  const scan = [...jpegSegments(view)].at(-1)!.offset
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes('\xff\xd9', scan, 'latin1')
}
