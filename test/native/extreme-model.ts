/**
 * Models whose sums reach their bounds: every weight of a channel has one sign and one plane, all bits are alike, and
 * thresholds lie at the sums. What kernels gather in bytes and in 16 bits overflows here, if anywhere; random sums
 * stay near half of their bounds.
 */

import type { Tensor } from '../../src/engine/format/safetensors.ts'
import type { ModelContent } from '../../src/engine/format.ts'
import { type Conv2d, type InputSpec, inferValues, type Linear, tapsOf } from '../../src/engine/graph.ts'
import { conv2d, fillUnchecked, linear, type Random } from '../random-model.ts'

/** @returns a model of one member, to be run on pixels that are all 255 or all 0 */
export function extremeModel(random: Random): ModelContent {
  const side = random.choice([1, 2, 3, 5, 7])
  const input: InputSpec = { height: side, width: side, channels: random.choice([1, 3]), resize: 'stretch' }
  const wide = random.choice([16, 32, 64, 192, 512])
  const out = () => random.integer(17, 40)
  const operations = [
    conv2d({ name: 'bits', input: 'image', out: wide }),
    conv2d({ name: 'windows', input: 'bits', out: out(), kernel: side, ...weights(random, 7) }),
    linear({ name: 'sums', input: 'bits', out: out(), output: 'floats', ...weights(random, 7) }),
    conv2d({ name: 'pixelWindows', input: 'image', out: out(), kernel: side, ...weights(random, 7) }),
    linear({ name: 'pixelSums', input: 'image', out: out(), output: 'floats', ...weights(random, 7) }),
    linear({ name: 'logits', input: 'sums', out: 2, output: 'floats' }),
  ]
  const content = fillUnchecked({ input, operations, members: 1 }, random)
  const { values } = inferValues(input, operations)
  const tensors = new Map(content.tensors)
  const fire = random.chance(0.5) ? -(2 ** 30) : 2 ** 30
  for (const operation of operations.slice(0, -1)) {
    const source = values.get(operation.input)!
    const taps = tapsOf(operation, source)
    const channels = Array.from({ length: operation.out }, () => ({
      positive: random.chance(0.5),
      plane: random.integer(0, operation.shifts.length - 1),
    }))
    setPlanes(tensors, operation, taps, channels)
    if (operation.output === 'floats') continue
    // Of bits that are all alike, and of the pixels 255 and 0.
    const elements = source.type === 'bits' ? [-1, 1] : [127, -128]
    const thresholds = channels.map(({ positive, plane }) => {
      const weight = (positive ? 1 : -1) * 2 ** operation.shifts[plane]
      return taps * weight * random.choice(elements) + random.integer(0, 1)
    })
    const data = Int32Array.from(operation.name === 'bits' ? thresholds.fill(fire) : thresholds)
    tensors.set(`${operation.name}.threshold`, { dtype: 'I32', shape: [1, data.length], data })
  }
  return { ...content, tensors }
}

function weights(random: Random, largest: number): Pick<Linear, 'weights' | 'shifts'> {
  const kind = random.choice(['binary', 'ternary', 'shift'] as const)
  return { weights: kind, shifts: kind === 'shift' ? [0, random.integer(1, largest)] : [0] }
}

function setPlanes(
  tensors: Map<string, Tensor>,
  { name, out, weights, shifts }: Conv2d | Linear,
  taps: number,
  channels: readonly { readonly positive: boolean; readonly plane: number }[],
): void {
  const bytes = Math.ceil(taps / 8)
  const ones = new Uint8Array(bytes).fill(255)
  if (taps % 8 !== 0) ones[bytes - 1] = 2 ** (taps % 8) - 1
  const shape = [1, shifts.length, out, bytes]
  const sign = new Uint8Array(shifts.length * out * bytes)
  const mask = new Uint8Array(sign.length)
  for (const [channel, { positive, plane }] of channels.entries()) {
    const first = (plane * out + channel) * bytes
    mask.set(ones, first)
    if (positive) sign.set(ones, first)
  }
  tensors.set(`${name}.sign`, { dtype: 'U8', shape, data: sign })
  if (weights !== 'binary') tensors.set(`${name}.mask`, { dtype: 'U8', shape, data: mask })
}
