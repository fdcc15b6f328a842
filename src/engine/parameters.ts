/** The constants of every operation in the arena: repacked weights, and a table for each way to end a sum. */

import type { Tensor } from './format/safetensors.ts'
import type { Model } from './format.ts'
import { tapsOf, type Weighted } from './graph.ts'
import { CHANNEL_BLOCK } from './kernels/step.ts'
import { alignUp, type ValueLayout } from './values.ts'
import {
  bytesForBits,
  bytesForPixels,
  type Plane,
  packForBits,
  packForPixels,
  unmaskedTaps,
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
  /** Lines of a window, as a kernel sees it. */
  readonly lines: number
  /** Elements of such a line: words of bits, pairs of pixels. */
  readonly run: number
  readonly weights: Block
  readonly limits: Block | null
  readonly totals: Block | null
  readonly scales: Block | null
  readonly biases: Block | null
}

/** Where a member's copy begins; 0 where there is none. */
export function addressOf(block: Block | null, member: number): number {
  if (!block) return 0
  return block.address + (block.copies === 1 ? 0 : member * block.bytes)
}

export function blocksOf({ weights, limits, totals, scales, biases }: Parameters): readonly Block[] {
  return [weights, limits, totals, scales, biases].filter(block => block !== null)
}

/** Above every sum of pixels, so that the lanes beyond the last channel never fire. */
const NEVER = 2 ** 31 - 1

/**
 * Lays the constants of one operation end to end.
 *
 * @param input the value that the operation reads
 * @param address where they begin, a multiple of the alignment
 */
export function layOutParameters(
  model: Model,
  operation: Weighted,
  input: ValueLayout,
  address: number,
): { readonly parameters: Parameters; readonly end: number } {
  const { name, out, output } = operation
  const tensor = (part: string) => model.tensors.get(`${name}.${part}`)
  const copiesOf = (...parts: string[]) => Math.max(...parts.map(part => tensor(part)?.shape[0] ?? 1))
  const entry = (part: string, member: number, channel: number) => rowOf(tensor(part)!, member)[channel]
  const plane = (member: number): Plane => ({
    sign: bytesOf(tensor('sign')!, member),
    mask: operation.weights === 'binary' ? null : bytesOf(tensor('mask')!, member),
    out,
    taps: tapsOf(operation, input),
  })
  let end = address
  const block = (bytes: number, copies: number, fill: Block['fill']): Block => {
    const one = { address: end, bytes: alignUp(bytes), copies, fill }
    end += copies * one.bytes
    return one
  }
  const tableLength = alignUp(out, CHANNEL_BLOCK)
  const integers = (copies: number, beyond: number, of: (member: number, channel: number) => number) =>
    block(4 * tableLength, copies, (copy, member) => {
      const table = new Int32Array(copy.buffer, copy.byteOffset, tableLength).fill(beyond)
      for (let channel = 0; channel < out; channel++) table[channel] = of(member, channel)
    })
  const floats = (part: string) =>
    block(4 * tableLength, copiesOf(part), (copy, member) =>
      new Float32Array(copy.buffer, copy.byteOffset, out).set(rowOf(tensor(part)!, member)),
    )

  const ofPixels = input.type === 'pixels'
  const { lines, run } = windowOf(operation, input)
  const weights = ofPixels
    ? block(bytesForPixels(plane(0), lines), copiesOf('sign', 'mask'), (copy, member) =>
        packForPixels(plane(member), lines, new Int16Array(copy.buffer, copy.byteOffset, copy.length / 2)),
      )
    : block(bytesForBits(plane(0), input.channels), copiesOf('sign', 'mask'), (copy, member) =>
        packForBits(plane(member), input.channels, copy),
      )
  if (output === 'bits') {
    // Of n unmasked bits at a distance d the sum is n − 2d, so that it reaches t where d ≤ ⌊(n − t) / 2⌋.
    const limits = ofPixels
      ? integers(copiesOf('threshold'), NEVER, (member, channel) => entry('threshold', member, channel))
      : integers(copiesOf('threshold', 'mask'), 0, (member, channel) =>
          Math.floor((unmaskedTaps(plane(member), channel) - entry('threshold', member, channel)) / 2),
        )
    return { parameters: { lines, run, weights, limits, totals: null, scales: null, biases: null }, end }
  }
  const totals = ofPixels
    ? null
    : integers(copiesOf('mask'), 0, (member, channel) => unmaskedTaps(plane(member), channel))
  const scales = floats('scale')
  const biases = floats('bias')
  return { parameters: { lines, run, weights, limits: null, totals, scales, biases }, end }
}

/** `linear` is one window over all of the value; where no border parts its lines, it is one long line. */
function windowOf(operation: Weighted, input: ValueLayout): { readonly lines: number; readonly run: number } {
  const elements = (pixels: number) =>
    input.type === 'pixels' ? Math.ceil((pixels * input.channels) / 2) : (pixels * input.pixel) / 8
  if (operation.op === 'conv2d') return { lines: operation.kernel, run: elements(operation.kernel) }
  return input.border === 0
    ? { lines: 1, run: elements(input.height * input.width) }
    : { lines: input.height, run: elements(input.width) }
}

/** A member's part of a tensor, whose first length is the number of members or 1. */
function rowOf({ shape, data }: Tensor, member: number): Tensor['data'] {
  const length = data.length / shape[0]
  const begin = shape[0] === 1 ? 0 : member * length
  return data.subarray(begin, begin + length)
}

function bytesOf(tensor: Tensor, member: number): Uint8Array {
  const { buffer, byteOffset, byteLength } = rowOf(tensor, member)
  return new Uint8Array(buffer, byteOffset, byteLength)
}
