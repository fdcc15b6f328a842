/** Weights as the kernels read them (`kernels/step.ts` draws it): repacked once, when a model is loaded. */

import { bitAt, copyBits, countOnes, tapBytes, WORD_BYTES } from './bits.ts'
import { blockLanes, CHANNEL_ALIGNMENT } from './kernels/step.ts'
import { alignUp } from './values.ts'

/** The weights of one operation and member, as a model file packs them: [plane][channel] rows of ⌈taps / 8⌉ bytes. */
export interface Planes {
  readonly sign: Uint8Array
  /** null: no weight is 0. */
  readonly mask: Uint8Array | null
  /** Plane i counts 2^shifts[i]-fold; increasing. */
  readonly shifts: readonly number[]
  readonly out: number
  readonly taps: number
}

/** One kernel position, as the weights are laid out for it. */
export interface Window {
  readonly lines: number
  /** Pixels of the value in a line. */
  readonly pixels: number
  /** Channels of such a pixel. */
  readonly channels: number
  /** Bytes from one pixel to the next. */
  readonly pixelBytes: number
}

/** One channel of one plane. A whole plane may have more bits than 32-bit operators count, a row never. */
interface Row {
  readonly sign: Uint8Array
  readonly mask: Uint8Array | null
}

function rowOf({ sign, mask, out, taps }: Planes, plane: number, channel: number): Row {
  const bytes = tapBytes(taps)
  const begin = (plane * out + channel) * bytes
  const cut = (packed: Uint8Array) => packed.subarray(begin, begin + bytes)
  return { sign: cut(sign), mask: mask && cut(mask) }
}

/** Σ 2^shift over the weights of a channel that are not 0. */
export function largestSum({ mask, taps, shifts, out }: Planes, channel: number): number {
  const bytes = tapBytes(taps)
  let sum = 0
  for (const [plane, shift] of shifts.entries()) {
    const begin = (plane * out + channel) * bytes
    sum += 2 ** shift * (mask ? countOnes(mask, begin, begin + bytes) : taps)
  }
  return sum
}

/** The sum of a channel's weights. */
export function weightSum(planes: Planes, channel: number): number {
  const { sign, taps, shifts, out } = planes
  const bytes = tapBytes(taps)
  let positive = 0
  for (const [plane, shift] of shifts.entries()) {
    const begin = (plane * out + channel) * bytes
    positive += 2 ** shift * countOnes(sign, begin, begin + bytes)
  }
  return 2 * positive - largestSum(planes, channel)
}

/** Lanes of all blocks: what each tap's weights are padded to. */
function lanesOf(out: number): number {
  return alignUp(out, CHANNEL_ALIGNMENT)
}

/** 64-bit words of a run of bits. */
export function runOfBits({ pixels, pixelBytes }: Window): number {
  return Math.ceil((pixels * pixelBytes) / WORD_BYTES)
}

/** Whether weights of bits need a mask: some are 0, or what lies behind a run shares its last word. */
export function isMasked(hasZeros: boolean, { pixels, pixelBytes }: Window): boolean {
  return hasZeros || (pixels * pixelBytes) % WORD_BYTES !== 0
}

/** Bytes that `packForBits` fills. */
export function bytesForBits(planes: Planes, window: Window): number {
  const words = window.lines * runOfBits(window) * (isMasked(planes.mask !== null, window) ? 2 : 1)
  return lanesOf(planes.out) * planes.shifts.length * words * WORD_BYTES
}

/** @param target zeros, at a multiple of 4 bytes */
export function packForBits(planes: Planes, window: Window, target: Uint8Array): void {
  const { out, shifts, mask } = planes
  const { lines, channels, pixels, pixelBytes } = window
  const run = runOfBits(window)
  const masked = isMasked(mask !== null, window)
  const ones = new Uint8Array(tapBytes(planes.taps)).fill(0xff)
  const halves = new Uint32Array(target.buffer, target.byteOffset, target.length / 4)
  const line = new Uint32Array(2 * run)
  const lineBytes = new Uint8Array(line.buffer)

  // Where pixels have no padding, in whole bytes, a line of the file is one of the table.
  const lineLength = channels === 8 * pixelBytes ? pixels * pixelBytes : null

  /** Puts a line of a row, from a half word on, so many of them apart. */
  const putLine = (row: Uint8Array, y: number, begin: number, step: number) => {
    if (lineLength !== null) lineBytes.set(row.subarray(y * lineLength, (y + 1) * lineLength))
    else {
      for (let pixel = 0; pixel < pixels; pixel++) {
        copyBits(row, (y * pixels + pixel) * channels, channels, lineBytes, pixel * pixelBytes)
      }
    }
    for (let word = 0, at = begin; word < run; word++, at += step) {
      halves[at] = line[2 * word]
      halves[at + 1] = line[2 * word + 1]
    }
  }

  for (let first = 0, block = 0; first < out; first += 32) {
    const lanes = blockLanes(out, first)
    const step = 2 * lanes * (masked ? 2 : 1)
    const planeHalves = lines * run * step
    for (const plane of shifts.keys()) {
      const begin = block + (shifts.length - 1 - plane) * planeHalves
      for (let lane = 0; lane < Math.min(lanes, out - first); lane++) {
        const row = rowOf(planes, plane, first + lane)
        for (let y = 0; y < lines; y++) {
          const at = begin + y * run * step + 2 * lane
          putLine(row.sign, y, at, step)
          if (masked) putLine(row.mask ?? ones, y, at + 2 * lanes, step)
        }
      }
    }
    block += shifts.length * planeHalves
  }
}

/** The largest shift whose planes fit in an int8 together: Σ 2^s ≤ 127. */
const LARGEST_MERGED_SHIFT = 6

/** Of pixels: the planes up to the largest merged shift are one, and one that lies above it comes first. */
export function planesOfPixels(shifts: readonly number[]): 1 | 2 {
  return Math.max(...shifts) > LARGEST_MERGED_SHIFT ? 2 : 1
}

/** Groups of four bytes of a run of pixels. */
export function runOfPixels({ pixels, channels }: Window): number {
  return Math.ceil((pixels * channels) / 4)
}

/** Bytes that `packForPixels` fills. */
export function bytesForPixels({ out, shifts }: Planes, window: Window): number {
  return lanesOf(out) * planesOfPixels(shifts) * window.lines * runOfPixels(window) * 4
}

/**
 * One of a row's weights: −1, 0 or 1. Signs are 0 where the mask is. Without a branch, which half of all weights would
 * mispredict, it takes half the time.
 */
function weightAt({ sign, mask }: Row, tap: number): number {
  return 2 * bitAt(sign, tap) - (mask ? bitAt(mask, tap) : 1)
}

/** @param target zeros */
export function packForPixels(planes: Planes, window: Window, target: Int8Array): void {
  const { out, shifts } = planes
  const lineTaps = window.pixels * window.channels
  const merged = planesOfPixels(shifts)
  for (let first = 0, at = 0; first < out; first += 32) {
    const lanes = blockLanes(out, first)
    const lineBytes = runOfPixels(window) * lanes * 4
    for (const [plane, shift] of shifts.entries()) {
      const isMerged = shift <= LARGEST_MERGED_SHIFT
      const weight = isMerged ? 2 ** shift : 1
      const begin = at + (isMerged ? merged - 1 : 0) * window.lines * lineBytes
      for (let lane = 0; lane < Math.min(lanes, out - first); lane++) {
        const row = rowOf(planes, plane, first + lane)
        for (let y = 0, tap = 0; y < window.lines; y++) {
          const to = begin + y * lineBytes + lane * 4
          // Planes are disjoint, so that all but one add 0.
          for (let i = 0; i < lineTaps; i++, tap++)
            target[to + (i >> 2) * lanes * 4 + (i & 3)] += weight * weightAt(row, tap)
        }
      }
    }
    at += merged * window.lines * lineBytes
  }
}

/** Floats of a run, those that pad the channels included. */
export function runOfFloats({ pixels, pixelBytes }: Window): number {
  return (pixels * pixelBytes) / 4
}

/** Bytes that `packForFloats` fills. */
export function bytesForFloats({ out }: Planes, window: Window): number {
  return lanesOf(out) * window.lines * runOfFloats(window) * 4
}

/** @param target zeros */
export function packForFloats(planes: Planes, window: Window, target: Float32Array): void {
  const { out, taps, shifts } = planes
  const { channels } = window
  const padding = window.pixelBytes / 4 - channels
  for (let first = 0, at = 0; first < out; first += 32) {
    const lanes = blockLanes(out, first)
    for (const [plane, shift] of shifts.entries()) {
      const weight = 2 ** shift
      for (let lane = 0; lane < Math.min(lanes, out - first); lane++) {
        const row = rowOf(planes, plane, first + lane)
        for (let tap = 0, to = at + lane; tap < taps; to += padding * lanes) {
          for (let channel = 0; channel < channels; channel++, tap++, to += lanes)
            target[to] += weight * weightAt(row, tap)
        }
      }
    }
    at += window.lines * runOfFloats(window) * lanes
  }
}
