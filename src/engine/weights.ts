/** Weights as the kernels read them: repacked once, when a model is loaded. */

import { bitAt, copyBits, countOnes, tapBytes, WORD_BITS, WORD_BYTES, wordsFor } from './bits.ts'
import { CHANNEL_BLOCK } from './kernels/step.ts'

/** One plane of weights of one member, as a model file packs it: a row of ⌈taps / 8⌉ bytes for each channel. */
export interface Plane {
  readonly sign: Uint8Array
  /** null: no weight is 0. */
  readonly mask: Uint8Array | null
  readonly out: number
  readonly taps: number
}

/** The weights of one channel. A whole plane may have more bits than 32-bit operators count, a row never. */
interface Row {
  readonly sign: Uint8Array
  readonly mask: Uint8Array | null
}

function rowOf({ sign, mask, taps }: Plane, channel: number): Row {
  const bytes = tapBytes(taps)
  const cut = (packed: Uint8Array) => packed.subarray(channel * bytes, (channel + 1) * bytes)
  return { sign: cut(sign), mask: mask && cut(mask) }
}

/** −1, 0 or +1 */
function weightAt({ sign, mask }: Row, tap: number): number {
  if (mask && !bitAt(mask, tap)) return 0
  return bitAt(sign, tap) ? 1 : -1
}

/** The weights of a channel that are not 0. */
export function unmaskedTaps(plane: Plane, channel: number): number {
  const { mask } = rowOf(plane, channel)
  return mask ? countOnes(mask) : plane.taps
}

/** Bytes that `packForBits` fills. */
export function bytesForBits(plane: Plane, channels: number): number {
  return plane.out * (plane.taps / channels) * wordsFor(channels) * WORD_BYTES * (plane.mask ? 2 : 1)
}

/**
 * For sums of bits: the taps of a pixel start at a word, as the activations do.
 *
 * ```
 * binary   [out][pixel][word]: sign
 * ternary  [out][pixel][word]: sign, mask
 * ```
 *
 * @param channels of the input
 * @param target zeros
 */
export function packForBits(plane: Plane, channels: number, target: Uint8Array): void {
  const words = wordsFor(channels)
  const pixels = plane.taps / channels
  let at = 0
  for (let channel = 0; channel < plane.out; channel++) {
    const { sign, mask } = rowOf(plane, channel)
    for (let pixel = 0; pixel < pixels; pixel++) {
      for (let word = 0; word < words; word++) {
        const begin = pixel * channels + word * WORD_BITS
        const count = Math.min(WORD_BITS, channels - word * WORD_BITS)
        copyBits(sign, begin, count, target, at)
        at += WORD_BYTES
        if (!mask) continue
        copyBits(mask, begin, count, target, at)
        at += WORD_BYTES
      }
    }
  }
}

/** Bytes that `packForPixels` fills. */
export function bytesForPixels(plane: Plane, lines: number): number {
  const pairs = Math.ceil(plane.taps / lines / 2)
  return Math.ceil(plane.out / CHANNEL_BLOCK) * lines * pairs * CHANNEL_BLOCK * 4
}

/**
 * For sums of pixels: int16, output channels in lanes, pairs of taps side by side for a dot product of pairs.
 *
 * ```
 * [block of 8 channels][line][pair of taps][channel][tap of the pair]
 * ```
 *
 * A line of an odd number of taps ends with a weight 0, and so do the channels of the last block.
 *
 * @param lines of a window; they divide the taps
 * @param target zeros
 */
export function packForPixels(plane: Plane, lines: number, target: Int16Array): void {
  const lineTaps = plane.taps / lines
  const pairs = Math.ceil(lineTaps / 2)
  for (let channel = 0; channel < plane.out; channel++) {
    const row = rowOf(plane, channel)
    const block = Math.floor(channel / CHANNEL_BLOCK)
    const lane = channel % CHANNEL_BLOCK
    for (let tap = 0; tap < plane.taps; tap++) {
      const line = Math.floor(tap / lineTaps)
      const inLine = tap % lineTaps
      const pair = (block * lines + line) * pairs + (inLine >> 1)
      target[(pair * CHANNEL_BLOCK + lane) * 2 + (inLine & 1)] = weightAt(row, tap)
    }
  }
}
