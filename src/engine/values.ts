/** How the values of a batch lie in a slot. */

import { WORD_BYTES, wordsFor } from './bits.ts'
import type { ValueType } from './graph.ts'
import { CHANNEL_ALIGNMENT } from './kernels/step.ts'

/** A value of a batch: [row][line][pixel][channel], with a border for those that read it padded. Strides in bytes. */
export interface ValueLayout extends ValueType {
  /** Offset in the slot of the first row, its border included. */
  readonly offset: number
  /** Lines and pixels around the value: the largest padding that an operation reads it with. */
  readonly border: number
  readonly row: number
  readonly line: number
  readonly pixel: number
}

export const ALIGNMENT = 64

export function alignUp(bytes: number, alignment = ALIGNMENT): number {
  return Math.ceil(bytes / alignment) * alignment
}

export function layOutValue(value: ValueType, border: number, offset: number): ValueLayout {
  const pixel = pixelBytes(value)
  const line = (value.width + 2 * border) * pixel
  const row = (value.height + 2 * border) * line
  return { ...value, offset, border, row, line, pixel }
}

/** Offset of the pixel at which a window begins that reaches `padding` beyond the value's corner. */
export function cornerOf({ offset, border, line, pixel }: ValueLayout, padding: number): number {
  return offset + (border - padding) * (line + pixel)
}

function pixelBytes({ type, channels }: ValueType): number {
  switch (type) {
    case 'pixels':
      return channels
    case 'bits':
      if (channels <= 16) return 2
      return channels <= 32 ? 4 : wordsFor(channels) * WORD_BYTES
    case 'floats':
      return 4 * alignUp(channels, CHANNEL_ALIGNMENT)
  }
}

/** Below it, a loop over bytes is faster than a view of them for `set`. */
const VIEW_BYTES = 64

/** Bytes of one pixel as `gather` gives it. */
function gatheredPixelBytes({ type, channels }: ValueType): number {
  return type === 'bits' ? wordsFor(channels) * WORD_BYTES : 4 * channels
}

/** Bytes of one row as `gather` gives it. */
export function gatheredBytes(value: ValueType): number {
  return value.height * value.width * gatheredPixelBytes(value)
}

/** The output of an operation in the order of the format's digests: bits in words, floats without padding, NHWC. */
export function gather(slot: Uint8Array, layout: ValueLayout, rows: number): Uint8Array {
  const { height, width, row, line, pixel } = layout
  const step = gatheredPixelBytes(layout)
  const bytes = Math.min(pixel, step)
  // Pixels without padding between them make whole lines.
  const isWhole = bytes === pixel && step === pixel
  const pieces = isWhole ? 1 : width
  const length = isWhole ? width * bytes : bytes
  const result = new Uint8Array(rows * gatheredBytes(layout))
  const first = cornerOf(layout, 0)
  let end = 0
  for (let r = 0; r < rows; r++) {
    for (let y = 0; y < height; y++) {
      for (let piece = 0; piece < pieces; piece++) {
        const begin = first + r * row + y * line + piece * pixel
        if (length < VIEW_BYTES) for (let i = 0; i < length; i++) result[end + i] = slot[begin + i]
        else result.set(slot.subarray(begin, begin + length), end)
        end += isWhole ? length : step
      }
    }
  }
  return result
}
