/** Operations as the tables that kernels read. */

import { isWeighted, type Operation, type Weighted } from './graph.ts'
import { CHANNEL_ALIGNMENT, type Step, stepKinds } from './kernels/step.ts'
import { addressOf, type Parameters, windowOf } from './parameters.ts'
import { paddingOf } from './slot.ts'
import { alignUp, cornerOf, type ValueLayout } from './values.ts'
import { isMasked, planesOfPixels, runOfBits, runOfFloats, runOfPixels, type Window } from './weights.ts'

const emptyStep: Step = {
  kind: 0,
  pool: 1,
  floats: 0,
  masked: 0,
  planes: 1,
  shifts: 0,
  input: 0,
  inputRow: 0,
  inputLine: 0,
  inputStepX: 0,
  inputStepY: 0,
  lines: 1,
  run: 1,
  output: 0,
  outputRow: 0,
  outputLine: 0,
  outputPixel: 0,
  outputBorder: 0,
  height: 0,
  width: 0,
  channels: 0,
  addend: 0,
  weights: 0,
  limits: 0,
  totals: 0,
  scales: 0,
  biases: 0,
}

/** Copies rows of pixels into a value with a border. */
export function imageStep(pixels: ValueLayout, image: ValueLayout): Step {
  return {
    ...emptyStep,
    ...outputFields(image),
    kind: stepKinds.image,
    input: pixels.offset,
    inputRow: pixels.row,
    inputLine: pixels.line,
  }
}

/**
 * @param input the value as the operation reads it
 * @param addend null where nothing is added
 */
export function stepOf(
  operation: Operation,
  input: ValueLayout,
  output: ValueLayout,
  addend: ValueLayout | null,
  parameters: Parameters,
  member: number,
): Step {
  const stride = strideOf(operation)
  return {
    ...emptyStep,
    ...outputFields(output),
    ...(isWeighted(operation) ? weightFields(operation, input) : floatFields(operation)),
    input: cornerOf(input, paddingOf(operation)),
    inputRow: input.row,
    inputLine: input.line,
    inputStepX: stride * input.pixel,
    inputStepY: stride * input.line,
    addend: addend === null ? 0 : cornerOf(addend, 0),
    weights: addressOf(parameters.weights, member),
    limits: addressOf(parameters.limits, member),
    totals: addressOf(parameters.totals, member),
    scales: addressOf(parameters.scales, member),
    biases: addressOf(parameters.biases, member),
  }
}

/**
 * What a row costs, in 64-bit words of signs, the lanes that pad the channels included. Masks come nearly for free; two
 * groups of pixels, two floats of weights or, where there are none, of values count as a word, copied pixels as nothing.
 */
export function workOf({ kind, pool, planes, lines, run, height, width, channels }: Step): number {
  if (kind === stepKinds.image) return 0
  const sums = height * width * pool ** 2 * alignUp(channels, CHANNEL_ALIGNMENT)
  return sums * planes * lines * run * (kind === stepKinds.bits ? 1 : 1 / 2)
}

function strideOf(operation: Operation): number {
  switch (operation.op) {
    case 'conv2d':
      return operation.stride
    case 'average_pool':
      return operation.size
    default:
      return 1
  }
}

function outputFields(output: ValueLayout) {
  return {
    floats: output.type === 'floats' ? 1 : 0,
    output: cornerOf(output, 0),
    outputRow: output.row,
    outputLine: output.line,
    outputPixel: output.pixel,
    outputBorder: output.border,
    height: output.height,
    width: output.width,
    channels: output.channels,
  }
}

function floatFields(operation: Exclude<Operation, Weighted>) {
  return operation.op === 'sign'
    ? { kind: stepKinds.sign }
    : { kind: stepKinds.averagePool, lines: operation.size, run: operation.size }
}

function weightFields(operation: Weighted, input: ValueLayout) {
  const window = windowOf(operation, input)
  const pool = operation.op === 'conv2d' ? operation.pool : 1
  return { pool, lines: window.lines, ...sumFields(operation, input, window) }
}

function sumFields({ weights, shifts }: Weighted, { type }: ValueLayout, window: Window) {
  switch (type) {
    case 'pixels': {
      const planes = planesOfPixels(shifts)
      return {
        kind: stepKinds.pixels,
        run: runOfPixels(window),
        planes,
        shifts: planes === 1 ? 0 : packShifts([0, Math.max(...shifts)]),
      }
    }
    case 'bits':
      return {
        kind: stepKinds.bits,
        run: runOfBits(window),
        masked: isMasked(weights !== 'binary', window) ? 1 : 0,
        planes: shifts.length,
        shifts: packShifts(shifts),
      }
    case 'floats':
      return { kind: stepKinds.linear, run: runOfFloats(window) }
  }
}

/** Planes come by falling shift, and each says how far it lies below the one before. */
function packShifts(shifts: readonly number[]): number {
  const falling = shifts.toReversed()
  return falling.reduce((packed, shift, plane) => {
    const below = plane === 0 ? 0 : falling[plane - 1] - shift
    return packed + below * 16 ** plane
  }, 0)
}
