import sharp from 'sharp'
import { XnordError } from '../../src/errors.ts'
import { requireComplete } from '../../src/images/complete.ts'
import type { RawImage } from '../../src/images/pixels.ts'
import { type ImageInfo, probeImage } from '../../src/images/probe.ts'

/** Red, green, blue and alpha of each pixel. */
export interface Rgba {
  readonly width: number
  readonly height: number
  readonly pixels: readonly number[]
}

export const maxPixels = 1_000_000

/** The reference: sharp, asked as nothing else is, or null where it refuses the file. */
export async function bySharp(file: Uint8Array): Promise<Rgba | null> {
  try {
    const { data, info } = await sharp(file, {
      failOn: 'warning',
      ignoreIcc: true,
      limitInputPixels: maxPixels,
    })
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true })
    return { width: info.width, height: info.height, pixels: asRgba(data, info.channels) }
  } catch {
    return null
  }
}

/** What a decoder of small files makes of one, or null where it leaves it to sharp. */
export function bySmall(
  decode: (bytes: Uint8Array, info: ImageInfo) => RawImage | null,
  file: Uint8Array,
): Rgba | null {
  const image = decode(file, probeImage(file, maxPixels))
  if (image === null) return null
  const channels = { grey: 1, rgb: 3, rgba: 4, cmyk: 0 }[image.layout]
  return { width: image.width, height: image.height, pixels: asRgba(image.data, channels) }
}

/** Whether the file is one that decoders see at all. */
export function passesHeader(file: Uint8Array): boolean {
  try {
    requireComplete(file, probeImage(file, maxPixels).format)
    return true
  } catch (thrown) {
    if (thrown instanceof XnordError) return false
    throw thrown
  }
}

function asRgba(data: Uint8Array, channels: number): readonly number[] {
  return Array.from({ length: (data.length / channels) * 4 }, (_, index) => {
    const pixel = Math.floor(index / 4) * channels
    if (index % 4 === 3) return channels === 4 ? data[pixel + 3] : 255
    return data[pixel + (channels === 1 ? 0 : index % 4)]
  })
}
