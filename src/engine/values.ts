/** Where the values of a batch lie in a slot. */

import { WORD_BYTES, wordsFor } from './bits.ts'
import type { Operation, ValueType } from './graph.ts'
import { CHANNEL_BLOCK } from './kernels/step.ts'

/** A value of a batch: [row][line][pixel][channel], with a border that keeps the padding's zeros. Strides in bytes. */
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

/**
 * One value after the other; none shares its bytes with another, so that borders stay zero for good.
 *
 * @param rows of the largest batch
 * @param offset of the first value, a multiple of the alignment
 * @returns each value's layout, and the offset behind the last
 */
export function layOutValues(
  operations: readonly Operation[],
  values: ReadonlyMap<string, ValueType>,
  rows: number,
  offset: number,
): { readonly layouts: ReadonlyMap<string, ValueLayout>; readonly end: number } {
  const layouts = new Map<string, ValueLayout>()
  let end = offset
  for (const [name, value] of values) {
    const border = borderOf(name, operations)
    const pixel = pixelBytes(value)
    const line = (value.width + 2 * border) * pixel
    const row = (value.height + 2 * border) * line
    layouts.set(name, { ...value, offset: end, border, row, line, pixel })
    // Kernels of pixels read in pairs, up to one int16 beyond the last: what lies there is the slot's next value, for
    // the image is never the last one.
    end = alignUp(end + rows * row)
  }
  return { layouts, end }
}

/** Offset of the pixel at which a window begins that reaches `padding` beyond the value's corner. */
export function cornerOf({ offset, border, line, pixel }: ValueLayout, padding: number): number {
  return offset + (border - padding) * (line + pixel)
}

function borderOf(name: string, operations: readonly Operation[]): number {
  const paddings = operations.map(operation =>
    operation.op === 'conv2d' && operation.input === name ? operation.padding : 0,
  )
  return Math.max(0, ...paddings)
}

function pixelBytes({ type, channels }: ValueType): number {
  switch (type) {
    case 'pixels':
      return 2 * channels
    case 'bits':
      return wordsFor(channels) * WORD_BYTES
    case 'floats':
      return 4 * alignUp(channels, CHANNEL_BLOCK)
  }
}

/** The output of an operation in the order of the format's digests: bits in words, floats without padding, NHWC. */
export function gather(slot: Uint8Array, layout: ValueLayout, rows: number): Uint8Array {
  const { type, height, width, channels, row, line, pixel } = layout
  const bytes = type === 'floats' ? 4 * channels : pixel
  const result = new Uint8Array(rows * height * width * bytes)
  const first = cornerOf(layout, 0)
  let end = 0
  for (let r = 0; r < rows; r++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const begin = first + r * row + y * line + x * pixel
        result.set(slot.subarray(begin, begin + bytes), end)
        end += bytes
      }
    }
  }
  return result
}
