/**
 * A slow, obvious forward pass on a model, written from the format alone: the oracle for every backend.
 *
 * It works on plain numbers, one sum after the other, and shares nothing with the engine but the model's type.
 */

import { createHash } from 'node:crypto'
import type { Check, ModelContent } from '../src/engine/format.ts'
import type { Conv2d, Linear, Operation } from '../src/engine/graph.ts'

/** One row of a value: numbers as they enter a sum. Bits are −1 and +1, pixels −128..127. */
export interface Value {
  readonly type: 'pixels' | 'bits' | 'floats'
  readonly height: number
  readonly width: number
  readonly channels: number
  /** [height, width, channels] */
  readonly numbers: readonly number[]
}

type Content = Omit<ModelContent, 'check'>

/**
 * @param pixels one row, [height, width, channels]
 * @returns the image and every operation's output, by name
 */
export function forward(model: Content, pixels: Uint8Array, member: number): ReadonlyMap<string, Value> {
  const { height, width, channels } = model.input
  const image: Value = { type: 'pixels', height, width, channels, numbers: Array.from(pixels, p => p - 128) }
  const values = new Map([['image', image]])
  for (const operation of model.operations) {
    values.set(operation.name, run(model, operation, values, member))
  }
  return values
}

/** float32 [rows, members, classes] */
export function logitsOf(model: Content, pixels: Uint8Array, rows: number, members: number): Float32Array {
  const rowBytes = pixels.length / rows
  const logits: number[] = []
  for (let row = 0; row < rows; row++) {
    const one = pixels.subarray(row * rowBytes, (row + 1) * rowBytes)
    for (let member = 0; member < members; member++) {
      logits.push(...forward(model, one, member).get('logits')!.numbers)
    }
  }
  return Float32Array.from(logits)
}

/** What the format calls check vectors, for such images: [n, height, width, channels]. */
export function checkVectors(model: Content, image: Uint8Array): Check {
  const { height, width, channels } = model.input
  const rowBytes = height * width * channels
  const rows = image.length / rowBytes
  const digests: Buffer[] = []
  const logits: number[] = []
  for (let member = 0; member < model.members; member++) {
    const outputs = Array.from({ length: rows }, (_, row) =>
      forward(model, image.subarray(row * rowBytes, (row + 1) * rowBytes), member),
    )
    for (const { name } of model.operations) {
      const hash = createHash('sha256')
      for (const values of outputs) hash.update(encode(values.get(name)!))
      digests.push(hash.digest())
    }
    for (const values of outputs) logits.push(...values.get('logits')!.numbers)
  }
  return { rows, image, digest: new Uint8Array(Buffer.concat(digests)), logits: Float32Array.from(logits) }
}

/** A value as the format's digests see it: bits in 64-bit words, channel 0 lowest; floats as float32. */
export function encode({ type, height, width, channels, numbers }: Value): Uint8Array {
  if (type === 'floats') return new Uint8Array(Float32Array.from(numbers).buffer)
  const pixelBytes = Math.ceil(channels / 64) * 8
  const bytes = new Uint8Array(height * width * pixelBytes)
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let c = 0; c < channels; c++) {
      if (numbers[pixel * channels + c] === 1) bytes[pixel * pixelBytes + Math.floor(c / 8)] += 2 ** (c % 8)
    }
  }
  return bytes
}

function run(
  model: Content,
  operation: Operation,
  values: ReadonlyMap<string, Value>,
  member: number,
): Value {
  const input = values.get(operation.input)!
  switch (operation.op) {
    case 'conv2d':
      return conv2d(model, operation, input, values, member)
    case 'linear': {
      const flat = { ...input, height: 1, width: 1, channels: input.numbers.length }
      const sums = sumsAt(model, operation, flat, 1, 0, 0, 0, member)
      return finish(model, operation, [sums], 1, 1, values, member)
    }
    case 'sign': {
      const thresholds = row(model, `${operation.name}.threshold`, member)
      const numbers = input.numbers.map((v, i) => (v >= thresholds[i % input.channels] ? 1 : -1))
      return { ...input, type: 'bits', numbers }
    }
    case 'average_pool':
      return averagePool(input, operation.size)
  }
}

function conv2d(
  model: Content,
  operation: Conv2d,
  input: Value,
  values: ReadonlyMap<string, Value>,
  member: number,
): Value {
  const { kernel, stride, padding, pool } = operation
  const height = Math.floor((input.height + 2 * padding - kernel) / stride) + 1
  const width = Math.floor((input.width + 2 * padding - kernel) / stride) + 1
  const sums: number[][] = []
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      sums.push(sumsAt(model, operation, input, kernel, y * stride, x * stride, padding, member))
    }
  }
  const value = finish(model, operation, sums, height, width, values, member)
  return pool === 2 ? orPool(value) : value
}

/** The sums of all channels for the window whose corner lies at (top, left) of the padded input. */
function sumsAt(
  model: Content,
  operation: Conv2d | Linear,
  input: Value,
  kernel: number,
  top: number,
  left: number,
  padding: number,
  member: number,
): number[] {
  const taps: number[] = []
  for (let y = top - padding; y < top - padding + kernel; y++) {
    for (let x = left - padding; x < left - padding + kernel; x++) {
      for (let c = 0; c < input.channels; c++) {
        const inside = y >= 0 && y < input.height && x >= 0 && x < input.width
        const outside = input.type === 'bits' ? -1 : 0
        taps.push(inside ? input.numbers[(y * input.width + x) * input.channels + c] : outside)
      }
    }
  }
  const sumOf = input.type === 'floats' ? sumOfFloats : sumOfIntegers
  return weightsOf(model, operation, taps.length, member).map(weights => sumOf(weights, taps))
}

function sumOfIntegers(weights: readonly number[], taps: readonly number[]): number {
  let sum = 0
  for (let tap = 0; tap < taps.length; tap++) sum += weights[tap] * taps[tap]
  return sum
}

function sumOfFloats(weights: readonly number[], taps: readonly number[]): number {
  let sum = 0
  for (let tap = 0; tap < taps.length; tap++) sum = Math.fround(sum + weights[tap] * taps[tap])
  return sum
}

const weightCache = new WeakMap<object, Map<string, number[][]>>()

/** [out][taps] */
function weightsOf(model: Content, operation: Conv2d | Linear, taps: number, member: number): number[][] {
  const cache = weightCache.get(model.tensors) ?? new Map<string, number[][]>()
  weightCache.set(model.tensors, cache)
  const key = `${operation.name} ${member}`
  const known = cache.get(key)
  if (known) return known
  const bytes = Math.ceil(taps / 8)
  const sign = row(model, `${operation.name}.sign`, member)
  const mask = operation.weights === 'binary' ? null : row(model, `${operation.name}.mask`, member)
  const weights = Array.from({ length: operation.out }, (_, channel) =>
    Array.from({ length: taps }, (_, tap) => {
      let weight = 0
      for (const [plane, shift] of operation.shifts.entries()) {
        const byte = (plane * operation.out + channel) * bytes + Math.floor(tap / 8)
        const bit = 1 << (tap % 8)
        if (!mask || (mask[byte] & bit) !== 0) weight += ((sign[byte] & bit) !== 0 ? 1 : -1) * 2 ** shift
      }
      return weight
    }),
  )
  cache.set(key, weights)
  return weights
}

/** Sums [position][channel] to bits or floats. */
function finish(
  model: Content,
  operation: Conv2d | Linear,
  sums: readonly (readonly number[])[],
  height: number,
  width: number,
  values: ReadonlyMap<string, Value>,
  member: number,
): Value {
  const { name, out, output } = operation
  if (output === 'bits') {
    const thresholds = row(model, `${name}.threshold`, member)
    const numbers = sums.flatMap(position => position.map((s, c) => (s >= thresholds[c] ? 1 : -1)))
    return { type: 'bits', height, width, channels: out, numbers }
  }
  const scales = row(model, `${name}.scale`, member)
  const biases = row(model, `${name}.bias`, member)
  const addend = operation.add === null ? null : values.get(operation.add)!.numbers
  const numbers = sums
    .flatMap(position =>
      position.map((s, c) => Math.fround(Math.fround(Math.fround(s) * scales[c]) + biases[c])),
    )
    .map((v, i) => (addend ? Math.fround(v + addend[i]) : v))
  return { type: 'floats', height, width, channels: out, numbers }
}

/** Whole windows of 2 × 2 only: an odd last row or column is dropped. */
function orPool({ type, height, width, channels, numbers }: Value): Value {
  const pooled: number[] = []
  for (let y = 0; y + 1 < height; y += 2) {
    for (let x = 0; x + 1 < width; x += 2) {
      for (let c = 0; c < channels; c++) {
        const at = (dy: number, dx: number) => numbers[((y + dy) * width + x + dx) * channels + c]
        pooled.push(Math.max(at(0, 0), at(0, 1), at(1, 0), at(1, 1)))
      }
    }
  }
  return { type, height: Math.floor(height / 2), width: Math.floor(width / 2), channels, numbers: pooled }
}

function averagePool({ type, height, width, channels, numbers }: Value, size: number): Value {
  const pooled: number[] = []
  for (let y = 0; y < height; y += size) {
    for (let x = 0; x < width; x += size) {
      for (let c = 0; c < channels; c++) {
        let sum = 0
        for (let dy = 0; dy < size; dy++) {
          for (let dx = 0; dx < size; dx++) {
            sum = Math.fround(sum + numbers[((y + dy) * width + x + dx) * channels + c])
          }
        }
        pooled.push(Math.fround(sum / size ** 2))
      }
    }
  }
  return { type, height: height / size, width: width / size, channels, numbers: pooled }
}

/** A member's part of a tensor, which has one for each member or one for all. */
function row(model: Content, name: string, member: number): ArrayLike<number> {
  const { shape, data } = model.tensors.get(name)!
  const length = data.length / shape[0]
  const first = shape[0] === 1 ? 0 : member * length
  return data.subarray(first, first + length)
}
