/** Weights as the kernels read them: repacked once, when a model is loaded. */

import { bitAt, countOnes, setBit, tapBytes, WORD_BYTES, wordsFor } from './bits.ts'
import { CHANNEL_BLOCK } from './kernels/step.ts'

/** One plane of weights of one member, as a model file packs it: a row of ⌈taps / 8⌉ bytes for each channel. */
export interface Plane {
  readonly sign: Uint8Array
  /** null: no weight is 0. */
  readonly mask: Uint8Array | null
  readonly out: number
  readonly taps: number
}

/** −1, 0 or +1 */
export function weightAt(plane: Plane, channel: number, tap: number): number {
  const index = channel * tapBytes(plane.taps) * 8 + tap
  if (plane.mask && !bitAt(plane.mask, index)) return 0
  return bitAt(plane.sign, index) ? 1 : -1
}

/** The weights of a channel that are not 0. */
export function unmaskedTaps({ mask, taps }: Plane, channel: number): number {
  const bytes = tapBytes(taps)
  return mask ? countOnes(mask.subarray(channel * bytes, (channel + 1) * bytes)) : taps
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
  const stride = plane.mask ? 2 : 1
  const pixels = plane.taps / channels
  for (let channel = 0; channel < plane.out; channel++) {
    for (let tap = 0; tap < plane.taps; tap++) {
      const weight = weightAt(plane, channel, tap)
      const c = tap % channels
      const word = (channel * pixels + Math.floor(tap / channels)) * words + (c >> 6)
      const bit = word * stride * WORD_BYTES * 8 + (c & 63)
      if (weight > 0) setBit(target, bit)
      if (plane.mask && weight !== 0) setBit(target, bit + WORD_BYTES * 8)
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
    const block = Math.floor(channel / CHANNEL_BLOCK)
    const lane = channel % CHANNEL_BLOCK
    for (let tap = 0; tap < plane.taps; tap++) {
      const line = Math.floor(tap / lineTaps)
      const inLine = tap % lineTaps
      const pair = (block * lines + line) * pairs + (inLine >> 1)
      target[(pair * CHANNEL_BLOCK + lane) * 2 + (inLine & 1)] = weightAt(plane, channel, tap)
    }
  }
}
