import { XnordError } from '../errors.ts'

export interface JpegSegment {
  /** The second byte of its marker. */
  readonly marker: number
  /** Where its length field lies; its data follow these two bytes. */
  readonly offset: number
}

export const startOfScan = 0xda

/** Cameras write a dozen segments before the first scan; the limit keeps a hostile file from costing time. */
const maxSegments = 4096

/**
 * The segments of a JPEG file (ITU-T T.81, annex B) up to its first scan, which is the last one given.
 *
 * @throws XnordError IMAGE_MALFORMED where they are not well formed, or end before a scan
 */
export function* jpegSegments(view: DataView): Generator<JpegSegment> {
  let offset = 2
  for (let count = 0; count < maxSegments; count++) {
    if (offset + 4 > view.byteLength) {
      throw new XnordError('IMAGE_MALFORMED', 'The JPEG file is cut short within its header.')
    }
    const marker = view.getUint8(offset + 1)
    if (view.getUint8(offset) !== 0xff || isStandalone(marker)) {
      throw new XnordError('IMAGE_MALFORMED', `The JPEG file has no segment at byte ${offset}.`)
    }
    if (marker === 0xff) {
      offset += 1 // B.1.1.2: any number of fill bytes may precede a marker
      continue
    }
    yield { marker, offset: offset + 2 }
    if (marker === startOfScan) return
    offset += 2 + view.getUint16(offset + 2)
  }
  throw new XnordError('IMAGE_MALFORMED', `The JPEG file has no scan behind ${maxSegments} segments.`)
}

/** SOF0..SOF15 without DHT, JPG and DAC, which lie in the same range. */
export function isFrameHeader(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc
}

/** Whether a marker, wherever it lies, begins a segment with a length. The reserved ones, 2 to BF, have none. */
export function isSegment(marker: number): boolean {
  return marker >= 0xc0 && marker !== 0xff && !isStandalone(marker)
}

/** Markers without a length: TEM, RSTn, SOI, EOI, and 0, which is none. They have no place before a scan. */
function isStandalone(marker: number): boolean {
  return marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd9)
}
