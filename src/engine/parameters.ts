/** The constants of every operation in the arena: repacked weights, and a table for each way to end a sum. */

import type { Tensor } from './format/safetensors.ts'
import type { Model } from './format.ts'
import { type Operation, tapsOf, type Weighted } from './graph.ts'
import { CHANNEL_ALIGNMENT } from './kernels/step.ts'
import { alignUp, type ValueLayout } from './values.ts'
import {
  bytesForBits,
  bytesForFloats,
  bytesForPixels,
  largestSum,
  type Planes,
  packForBits,
  packForFloats,
  packForPixels,
  type Window,
  weightSum,
} from './weights.ts'

/** One kind of constants of an operation: a copy for each member, or one that all share. */
export interface Block {
  readonly address: number
  /** Of one copy. */
  readonly bytes: number
  readonly copies: number
  /** @param copy zeros */
  readonly fill: (copy: Uint8Array, member: number) => void
}

/** What an operation's steps point to; null is a table that they do not need. */
export interface Parameters {
  readonly weights: Block | null
  readonly limits: Block | null
  readonly totals: Block | null
  readonly scales: Block | null
  readonly biases: Block | null
}

const none: Parameters = { weights: null, limits: null, totals: null, scales: null, biases: null }

/** Where a member's copy begins; 0 where there is none. */
export function addressOf(block: Block | null, member: number): number {
  if (!block) return 0
  return block.address + (block.copies === 1 ? 0 : member * block.bytes)
}

export function blocksOf({ weights, limits, totals, scales, biases }: Parameters): readonly Block[] {
  return [weights, limits, totals, scales, biases].filter(block => block !== null)
}

/** Above every sum of pixels, below every distance of bits, above every float. */
const NEVER = { pixels: 2 ** 31 - 1, bits: -1, floats: Number.POSITIVE_INFINITY }

/** −128 · Σw lies between the sums of x = p − 128, which the format means, and those of p. */
const ZERO_PIXEL = 128

/** `linear` is one window over all of the value; where no border parts its lines, it is one long line. */
export function windowOf(operation: Weighted, input: ValueLayout): Window {
  const { channels, pixel: pixelBytes, height, width, border } = input
  if (operation.op === 'conv2d') {
    return { lines: operation.kernel, pixels: operation.kernel, channels, pixelBytes }
  }
  return border === 0
    ? { lines: 1, pixels: height * width, channels, pixelBytes }
    : { lines: height, pixels: width, channels, pixelBytes }
}

/**
 * Lays the constants of one operation end to end.
 *
 * @param input the value that the operation reads
 * @param address where they begin, a multiple of the alignment
 */
export function layOutParameters(
  model: Model,
  operation: Operation,
  input: ValueLayout,
  address: number,
): { readonly parameters: Parameters; readonly end: number } {
  const tables = new Tables(model, operation.name, address)
  const parameters = parametersOf(operation, input, tables)
  return { parameters, end: tables.end }
}

function parametersOf(operation: Operation, input: ValueLayout, tables: Tables): Parameters {
  if (operation.op === 'average_pool') return none
  if (operation.op === 'sign') {
    return { ...none, limits: tables.floats('threshold', input.channels, NEVER.floats) }
  }
  const planes = (member: number): Planes => tables.planes(operation, input, member)
  const window = windowOf(operation, input)
  const { out, output } = operation
  const weights = tables.block(bytesOfWeights(planes(0), window, input), ['sign', 'mask'], (copy, member) =>
    pack(planes(member), window, input, copy),
  )
  if (output === 'floats') {
    return {
      ...none,
      weights,
      totals: totalsOf(planes, out, input, tables),
      scales: tables.floats('scale', out, 0),
      biases: tables.floats('bias', out, 0),
    }
  }
  // Of n, the largest sum, and a distance d the sum is n − 2d, so that it reaches t where d ≤ ⌊(n − t) / 2⌋.
  const limits =
    input.type === 'pixels'
      ? tables.integers(out, NEVER.pixels, ['threshold', 'sign', 'mask'], member => {
          const threshold = tables.entries('threshold', member)
          const of = planes(member)
          return channel => threshold[channel] + ZERO_PIXEL * weightSum(of, channel)
        })
      : tables.integers(out, NEVER.bits, ['threshold', 'mask'], member => {
          const threshold = tables.entries('threshold', member)
          const of = planes(member)
          return channel => Math.floor((largestSum(of, channel) - threshold[channel]) / 2)
        })
  return { ...none, weights, limits }
}

function totalsOf(
  planes: (member: number) => Planes,
  out: number,
  { type }: ValueLayout,
  tables: Tables,
): Block | null {
  switch (type) {
    case 'pixels':
      return tables.integers(out, 0, ['sign', 'mask'], member => {
        const of = planes(member)
        return channel => ZERO_PIXEL * weightSum(of, channel)
      })
    case 'bits':
      return tables.integers(out, 0, ['mask'], member => {
        const of = planes(member)
        return channel => largestSum(of, channel)
      })
    case 'floats':
      return null
  }
}

function bytesOfWeights(planes: Planes, window: Window, { type }: ValueLayout): number {
  switch (type) {
    case 'pixels':
      return bytesForPixels(planes, window)
    case 'bits':
      return bytesForBits(planes, window)
    case 'floats':
      return bytesForFloats(planes, window)
  }
}

function pack(planes: Planes, window: Window, { type }: ValueLayout, copy: Uint8Array): void {
  const { buffer, byteOffset, length } = copy
  switch (type) {
    case 'pixels':
      packForPixels(planes, window, new Int8Array(buffer, byteOffset, length))
      break
    case 'bits':
      packForBits(planes, window, copy)
      break
    case 'floats':
      packForFloats(planes, window, new Float32Array(buffer, byteOffset, length / 4))
      break
  }
}

/** Lays the tables of one operation out, one behind the other. */
class Tables {
  readonly #model: Model
  readonly #name: string
  #end: number

  constructor(model: Model, name: string, address: number) {
    this.#model = model
    this.#name = name
    this.#end = address
  }

  get end(): number {
    return this.#end
  }

  /** @param parts tensors that it is made of: if one is there for each member, so is the block */
  block(bytes: number, parts: readonly string[], fill: Block['fill']): Block {
    const copies = Math.max(...parts.map(part => this.#tensor(part)?.shape[0] ?? 1))
    const block = { address: this.#end, bytes: alignUp(bytes), copies, fill }
    this.#end += copies * block.bytes
    return block
  }

  /** @param beyond what pads the table */
  integers(
    length: number,
    beyond: number,
    parts: readonly string[],
    of: (member: number) => (channel: number) => number,
  ): Block {
    const padded = alignUp(length, CHANNEL_ALIGNMENT)
    return this.block(4 * padded, parts, (copy, member) => {
      const table = new Int32Array(copy.buffer, copy.byteOffset, padded).fill(beyond)
      const entry = of(member)
      for (let channel = 0; channel < length; channel++) table[channel] = entry(channel)
    })
  }

  /** A tensor of float32 as it is. */
  floats(part: string, length: number, beyond: number): Block {
    const padded = alignUp(length, CHANNEL_ALIGNMENT)
    return this.block(4 * padded, [part], (copy, member) =>
      new Float32Array(copy.buffer, copy.byteOffset, padded).fill(beyond).set(this.entries(part, member)),
    )
  }

  planes(operation: Weighted, input: ValueLayout, member: number): Planes {
    const { weights, shifts, out } = operation
    const mask = weights === 'binary' ? null : bytesOf(this.entries('mask', member))
    return { sign: bytesOf(this.entries('sign', member)), mask, shifts, out, taps: tapsOf(operation, input) }
  }

  /** A member's part of a tensor, whose first length is the number of members or 1. */
  entries(part: string, member: number): Tensor['data'] {
    const { shape, data } = this.#tensor(part)!
    const length = data.length / shape[0]
    const begin = shape[0] === 1 ? 0 : member * length
    return data.subarray(begin, begin + length)
  }

  #tensor(part: string): Tensor | undefined {
    return this.#model.tensors.get(`${this.#name}.${part}`)
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Tensor['data']): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}
