import { readNpz } from './npz.ts'

/** Images of one size with a class each, by its place among a model's labels. */
export interface LabelledImages {
  readonly count: number
  readonly height: number
  readonly width: number
  /** 1: grey, 3: red, green, blue. */
  readonly channels: 1 | 3
  /** count × height × width × channels bytes. */
  readonly pixels: Uint8Array
  readonly labels: ArrayLike<number>
}

const maxSide = 1024
const maxClasses = 2n ** 16n

/**
 * The test images of a data set that `lrnet pack` wrote.
 *
 * @throws Error where the file is not one
 */
export async function readPackedTest(file: string): Promise<LabelledImages> {
  const { test_images: images, test_labels: labels } = await readNpz(file, ['test_images', 'test_labels'])
  const [count, height, width, channels] = images.shape
  if (images.dtype !== '|u1' || images.shape.length !== 4 || count === 0) {
    throw new Error(`${file}: test_images are not bytes [count, height, width, channels].`)
  }
  if (!isSide(height) || !isSide(width) || (channels !== 1 && channels !== 3)) {
    throw new Error(`${file}: test_images are ${width} × ${height} with ${channels} channels.`)
  }
  if (labels.dtype !== '<i8' || labels.shape.length !== 1 || labels.shape[0] !== count) {
    throw new Error(`${file}: test_labels are not ${count} integers of 64 bits.`)
  }
  const classes = Array.from({ length: count }, (_, image) => labels.bytes.readBigInt64LE(8 * image))
  if (classes.some(label => label < 0n || label >= maxClasses)) {
    throw new Error(`${file}: test_labels are not all 0 … ${maxClasses - 1n}.`)
  }
  return { count, height, width, channels, pixels: images.bytes, labels: classes.map(Number) }
}

function isSide(length: number): boolean {
  return length >= 1 && length <= maxSide
}
