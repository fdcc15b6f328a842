/** What a step reads and writes, laid out from numbers by what `src/engine/kernels/step.ts` says of each field. */

import { type Step, stepKinds } from '../../src/engine/kernels/step.ts'
import type { Value } from '../reference.ts'
import { KnownBytes } from './known-bytes.ts'

/** Bytes from a row, a line, a pixel of a value to the next. */
export interface Strides {
  readonly row: number
  readonly line: number
  readonly pixel: number
}

/**
 * All that a step reads of its input, down to the last byte of its last word.
 *
 * @param rows the value as numbers, one a row
 * @param padding of the operation: so far the value's border is read
 */
export function inputBytes(
  step: Step,
  rows: readonly Value[],
  strides: Strides,
  padding: number,
): KnownBytes {
  const { inputRow, inputLine, inputStepX, inputStepY, height, width, pool, lines } = step
  const size =
    (rows.length - 1) * inputRow +
    (step.kind === stepKinds.image
      ? height * inputLine
      : (height * pool - 1) * inputStepY +
        (width * pool - 1) * inputStepX +
        (lines - 1) * inputLine +
        lineBytes(step, rows[0].channels, strides.pixel))
  const bytes = new KnownBytes(size)
  writeValue(bytes, rows, strides, padding)
  return bytes
}

/** All that a step writes: every pixel with its padding of channels, and the border around them. */
export function outputBytes(step: Step, rows: readonly Value[]): KnownBytes {
  const strides = { row: step.outputRow, line: step.outputLine, pixel: step.outputPixel }
  const bytes = new KnownBytes(extent(step, rows.length, step.outputBorder))
  writeValue(bytes, rows, strides, step.outputBorder)
  return bytes
}

/** A value of floats in the strides of the step's output, from its first pixel on. */
export function addendBytes(step: Step, rows: readonly Value[]): KnownBytes {
  const strides = { row: step.outputRow, line: step.outputLine, pixel: step.outputPixel }
  const bytes = new KnownBytes(extent(step, rows.length, 0))
  writeValue(bytes, rows, strides, 0)
  return bytes
}

/** What lies before the first output pixel: the border. */
export function outputCorner({ outputBorder, outputLine, outputPixel }: Step): number {
  return outputBorder * (outputLine + outputPixel)
}

function extent(step: Step, rows: number, border: number): number {
  const lines = step.height + 2 * border
  const pixels = step.width + 2 * border
  return (rows - 1) * step.outputRow + (lines - 1) * step.outputLine + pixels * step.outputPixel
}

/** Of one line of a window. */
function lineBytes({ kind, run, inputStepX }: Step, channels: number, pixel: number): number {
  switch (kind) {
    case stepKinds.bits:
      return 8 * run
    case stepKinds.sign:
      return floatBytes(channels)
    case stepKinds.averagePool:
      return (run - 1) * (inputStepX / run) + Math.min(pixel, floatBytes(channels))
    default:
      return 4 * run
  }
}

function floatBytes(channels: number): number {
  return 64 * Math.ceil(channels / 16)
}

function writeValue(
  bytes: KnownBytes,
  rows: readonly Value[],
  { row, line, pixel }: Strides,
  border: number,
): void {
  for (const [index, value] of rows.entries()) {
    const { type, height, width, channels, numbers } = value
    const outside = encodePixel(type, new Array(channels).fill(type === 'bits' ? -1 : 0))
    for (let y = -border; y < height + border; y++) {
      for (let x = -border; x < width + border; x++) {
        const inside = y >= 0 && y < height && x >= 0 && x < width
        const first = (y * width + x) * channels
        const encoded = inside ? encodePixel(type, numbers.slice(first, first + channels)) : outside
        bytes.set(index * row + (y + border) * line + (x + border) * pixel, encoded)
      }
    }
  }
}

function encodePixel(type: Value['type'], numbers: readonly number[]): Uint8Array {
  switch (type) {
    case 'pixels':
      return Uint8Array.from(numbers, x => x + 128)
    case 'bits': {
      const bytes = new Uint8Array(
        numbers.length <= 16 ? 2 : numbers.length <= 32 ? 4 : 8 * Math.ceil(numbers.length / 64),
      )
      for (const [channel, bit] of numbers.entries()) {
        if (bit === 1) bytes[Math.floor(channel / 8)] += 2 ** (channel % 8)
      }
      return bytes
    }
    case 'floats': {
      const view = new DataView(new ArrayBuffer(floatBytes(numbers.length)))
      for (const [channel, float] of numbers.entries()) view.setFloat32(4 * channel, float, true)
      return new Uint8Array(view.buffer)
    }
  }
}
