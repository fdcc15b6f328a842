/** Files such as clients send, made anew each time: the same bytes from run to run. */

import sharp, { type Sharp } from 'sharp'

export interface Picture {
  readonly name: string
  readonly format: 'png' | 'jpeg' | 'webp'
  readonly file: Buffer
  readonly width: number
  readonly height: number
  /** Of the model that it is sent to. */
  readonly channels: 1 | 3
}

export async function drawPictures(): Promise<readonly Picture[]> {
  const digit = sharp(ring(28), { raw: { width: 28, height: 28, channels: 1 } }).toColourspace('b-w')
  const [small, medium, fair, usual, large] = await Promise.all([
    photo(32, 32),
    photo(64, 64),
    photo(128, 128),
    photo(224, 224),
    photo(640, 480),
  ])
  const picture = async (
    name: string,
    format: Picture['format'],
    image: Sharp,
    [width, height, channels]: readonly [number, number, 1 | 3],
  ): Promise<Picture> => {
    // Filters a row as most programs choose them; sharp's own default is none.
    const file = await image.clone().toFormat(format, { adaptiveFiltering: true }).toBuffer()
    return { name: `${name}, ${file.length} bytes`, format, file, width, height, channels }
  }
  return [
    await picture('PNG, 28 × 28, grey', 'png', digit, [28, 28, 1]),
    await picture('PNG, 32 × 32, colour', 'png', small, [32, 32, 3]),
    await picture('PNG, 64 × 64, colour', 'png', medium, [64, 64, 3]),
    await picture('PNG, 128 × 128, colour', 'png', fair, [128, 128, 3]),
    await picture('JPEG, 32 × 32', 'jpeg', small, [32, 32, 3]),
    await picture('JPEG, 224 × 224', 'jpeg', usual, [224, 224, 3]),
    await picture('JPEG, 640 × 480', 'jpeg', large, [640, 480, 3]),
    await picture('WebP, 32 × 32', 'webp', small, [32, 32, 3]),
    await picture('WebP, 224 × 224', 'webp', usual, [224, 224, 3]),
  ]
}

/** A PNG file such as programs make of a photograph, of so many pixels, another one for each seed. */
export async function photoPng(width: number, height: number, seed: number): Promise<Buffer> {
  const image = await photo(width, height, seed)
  return image.png({ adaptiveFiltering: true }).toBuffer()
}

/** A stroke with soft edges on black, like a handwritten zero. */
function ring(side: number): Uint8Array {
  return Uint8Array.from({ length: side * side }, (_, index) => {
    const distance = Math.hypot((index % side) - side / 2, Math.floor(index / side) - side / 2)
    return Math.max(0, 255 - 35 * (distance - side / 4) ** 2)
  })
}

/** Soft patches of colour with a little noise over them, which is what compression finds in a photograph. */
async function photo(width: number, height: number, seed = 1): Promise<Sharp> {
  const random = randomBytes(seed)
  const patches = sharp(
    Uint8Array.from({ length: 8 * 6 * 3 }, () => random()),
    {
      raw: { width: 8, height: 6, channels: 3 },
    },
  )
  const soft = await patches.resize(width, height, { kernel: 'cubic', fit: 'fill' }).raw().toBuffer()
  const noisy = Uint8ClampedArray.from(soft, value => value + (random() >> 6) - 2)
  return sharp(new Uint8Array(noisy.buffer), { raw: { width, height, channels: 3 } })
}

function randomBytes(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  }
}
