import type sharp from 'sharp'
import type { InputSpec } from '../engine/graph.ts'
import { XnordError } from '../errors.ts'
import { requireComplete } from './complete.ts'
import { type RawImage, toLight } from './pixels.ts'
import { type ImageInfo, probeImage } from './probe.ts'
import { resize } from './resize.ts'
import { decodeSmallJpeg } from './small-jpeg.ts'
import { decodeSmallPng } from './small-png.ts'

/**
 * Decodes a PNG, JPEG or WebP file into a model's input: turned as EXIF says, alpha over black, grey or three equal
 * channels where the model wants them, resized by the model's rule. Of an animation it is the first frame, of 16 bits a
 * channel the upper 8; colour profiles and gamma are ignored, as they are in training.
 *
 * @param bytes a whole file; anything short of one is an error
 * @param maxPixels the most pixels that the file may have; four bytes each are allocated
 * @param out input.height × input.width × input.channels bytes; overwritten, and in part also where it throws
 * @throws XnordError IMAGE_EMPTY, IMAGE_FORMAT_UNKNOWN, IMAGE_MALFORMED, IMAGE_TOO_LARGE
 */
export async function decodeImage(
  bytes: Uint8Array,
  input: InputSpec,
  maxPixels: number,
  out: Uint8Array,
): Promise<void> {
  const info = probeImage(bytes, maxPixels)
  requireComplete(bytes, info.format)
  const image = decodeSmall(bytes, info) ?? (await decodeBySharp(bytes, info, maxPixels))
  resize(toLight(image.data, image.layout, input.channels), image.width, image.height, input, out)
}

/** What sharp would give, in a fraction of its time, for most small files. The others, and every damaged one, are sharp's. */
function decodeSmall(bytes: Uint8Array, info: ImageInfo): RawImage | null {
  if (info.format === 'png') return decodeSmallPng(bytes, info)
  if (info.format === 'jpeg') return decodeSmallJpeg(bytes, info)
  return null
}

let loaded: Promise<typeof sharp> | null = null

/** At its first use: it takes some 20 MB and a tenth of a second, and most small files never need it. */
function loadSharp(): Promise<typeof sharp> {
  loaded ??= import('sharp').then(({ default: sharp }) => {
    // These settings hold for the whole process. One thread an image: the cores belong to the workers. No cache: no two
    // requests share an image. Of libvips' many loaders only the three that are promised read what strangers send.
    sharp.concurrency(1)
    sharp.cache(false)
    sharp.block({ operation: ['VipsForeignLoad'] })
    sharp.unblock({
      operation: ['VipsForeignLoadPngBuffer', 'VipsForeignLoadJpegBuffer', 'VipsForeignLoadWebpBuffer'],
    })
    return sharp
  })
  return loaded
}

async function decodeBySharp(bytes: Uint8Array, info: ImageInfo, maxPixels: number): Promise<RawImage> {
  const sharp = await loadSharp()
  const image = sharp(bytes, {
    limitInputPixels: maxPixels,
    failOn: 'warning',
    ignoreIcc: true,
    autoOrient: true,
  })
  // The inks as they are: without the first, the pipeline turns them into light by a profile, and the second back.
  if (info.cmyk) image.pipelineColourspace('cmyk').toColourspace('cmyk')
  try {
    const { data, info: raw } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
    const layout = info.cmyk ? 'cmyk' : raw.channels === 4 ? 'rgba' : 'rgb'
    return { data, width: raw.width, height: raw.height, layout }
  } catch (thrown) {
    const [reason] = (thrown as Error).message.split('\n')
    throw new XnordError('IMAGE_MALFORMED', `The ${info.format} image cannot be decoded: ${reason}.`, {
      cause: thrown,
    })
  }
}
