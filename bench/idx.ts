import { readFile } from 'node:fs/promises'
import { gunzipSync } from 'node:zlib'

/** Grey images in the IDX format, a byte a pixel. */
export interface IdxImages {
  readonly count: number
  readonly height: number
  readonly width: number
  /** count × height × width bytes. */
  readonly pixels: Uint8Array
}

/** The most bytes that a compressed file may unfold to. */
const maxBytes = 2 ** 30

/** @throws Error where the file is not an IDX file of bytes with three axes */
export async function readIdxImages(file: string): Promise<IdxImages> {
  const { axes, data } = await readIdx(file, 3)
  const [count, height, width] = axes
  return { count, height, width, pixels: data }
}

/** @throws Error where the file is not an IDX file of bytes with one axis */
export async function readIdxLabels(file: string): Promise<Uint8Array> {
  return (await readIdx(file, 1)).data
}

/** The header is 0, 0, the type (8: unsigned bytes), the number of axes, and each axis as a big-endian 32-bit integer. */
async function readIdx(file: string, rank: number): Promise<{ axes: number[]; data: Uint8Array }> {
  const stored = await readFile(file)
  const bytes =
    stored[0] === 0x1f && stored[1] === 0x8b ? gunzipSync(stored, { maxOutputLength: maxBytes }) : stored
  const header = 4 + 4 * rank
  if (bytes.length < header || bytes.readUInt32BE(0) !== 0x800 + rank) {
    throw new Error(`${file} is not an IDX file of bytes with ${rank} axes.`)
  }
  const axes = Array.from({ length: rank }, (_, axis) => bytes.readUInt32BE(4 + 4 * axis))
  const data = bytes.subarray(header)
  if (data.length !== axes.reduce((product, axis) => product * axis, 1)) {
    throw new Error(`${file} holds ${data.length} bytes of data, but its axes are ${axes.join(' × ')}.`)
  }
  return { axes, data }
}
