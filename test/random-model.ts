/** Random models that have learned nothing, with check vectors by the reference: the same seed, the same model. */

import type { Tensor } from '../src/engine/format/safetensors.ts'
import type { ModelContent } from '../src/engine/format.ts'
import {
  type Conv2d,
  elementsOf,
  type InputSpec,
  inferValues,
  isWeighted,
  type Linear,
  type Operation,
  tapsOf,
  type ValueType,
} from '../src/engine/graph.ts'
import { checkVectors } from './reference.ts'

export interface ModelSketch {
  readonly input: InputSpec
  readonly operations: readonly Operation[]
  readonly members: number
}

/** Numbers from a seed, by the generator mulberry32. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** 0 ≤ x < 1 */
  uniform(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** low..high, both included */
  integer(low: number, high: number): number {
    return low + Math.floor(this.uniform() * (high - low + 1))
  }

  chance(probability: number): boolean {
    return this.uniform() < probability
  }

  choice<T>(choices: readonly T[]): T {
    return choices[this.integer(0, choices.length - 1)]
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.integer(0, 255))
  }
}

/** A convolution with every default filled in. */
export function conv2d(attributes: Partial<Conv2d> & Pick<Conv2d, 'name' | 'input' | 'out'>): Conv2d {
  return { op: 'conv2d', ...weighted, kernel: 1, stride: 1, padding: 0, pool: 1, ...attributes }
}

/** A linear operation with every default filled in. */
export function linear(attributes: Partial<Linear> & Pick<Linear, 'name' | 'input' | 'out'>): Linear {
  return { op: 'linear', ...weighted, ...attributes }
}

const weighted = { weights: 'binary', shifts: [0], output: 'bits', add: null } as const

/** Random tensors for a graph, some of them shared by the members, and its check vectors by the reference. */
export function fillSketch(sketch: ModelSketch, random: Random): ModelContent {
  const content = fillUnchecked(sketch, random)
  return { ...content, check: checkVectors(content, content.check.image) }
}

/** The same with check vectors that are blank but for the images: what takes the reference most of its time. */
export function fillUnchecked(sketch: ModelSketch, random: Random): ModelContent {
  const { input, operations, members } = sketch
  const { values } = inferValues(input, operations)
  const tensors = randomTensors(sketch, random)
  const classes = values.get('logits')!.channels
  const content = {
    name: 'random',
    input,
    labels: Array.from({ length: classes }, (_, index) => `class ${index}`),
    members,
    defaultMembers: random.integer(1, members),
    operations,
    calibration: {
      temperature: Array.from({ length: members }, () => 0.5 + random.uniform()),
      split: '',
      n: 0,
    },
    baseline: null,
    provenance: {},
    tensors,
  }
  const rowBytes = elementsOf(values.get('image')!)
  const image = random.bytes(8 * rowBytes)
  image.fill(0, 0, rowBytes)
  image.fill(255, rowBytes, 2 * rowBytes)
  const check = {
    rows: 8,
    image,
    digest: new Uint8Array(members * operations.length * 32),
    logits: new Float32Array(members * 8 * classes),
  }
  return { ...content, check }
}

/** The operations' tensors for a graph. */
export function randomTensors(sketch: ModelSketch, random: Random): ReadonlyMap<string, Tensor> {
  const { input, operations, members } = sketch
  const { values } = inferValues(input, operations)
  const tensors = new Map<string, Tensor>()
  for (const operation of operations) {
    addTensors(tensors, operation, values.get(operation.input)!, members, random)
  }
  return tensors
}

function addTensors(
  tensors: Map<string, Tensor>,
  operation: Operation,
  source: ValueType,
  members: number,
  random: Random,
): void {
  const copies = () => (random.chance(0.3) ? 1 : members)
  const floats = (part: string, length: number, value: () => number) => {
    const count = copies()
    const data = Float32Array.from({ length: count * length }, value)
    tensors.set(`${operation.name}.${part}`, { dtype: 'F32', shape: [count, length], data })
  }
  if (operation.op === 'sign') floats('threshold', source.channels, () => moderate(random))
  if (!isWeighted(operation)) return
  const { name, out, shifts } = operation
  const taps = tapsOf(operation, source)
  addPlanes(tensors, operation, taps, copies(), random)
  if (operation.output === 'floats') {
    floats('scale', out, () => moderate(random))
    floats('bias', out, () => moderate(random))
    return
  }
  const spread = Math.sqrt(taps) * (source.type === 'pixels' ? 74 : 1) * 2 ** shifts[shifts.length - 1]
  const count = copies()
  const data = Int32Array.from({ length: count * out }, () => {
    if (random.chance(0.05)) return random.choice([-(2 ** 30), 2 ** 30])
    return Math.round((random.uniform() - 0.5) * 2 * spread)
  })
  tensors.set(`${name}.threshold`, { dtype: 'I32', shape: [count, out], data })
}

/** Zeros of both signs, too: −0 equals +0 where a sign is taken, and yet has other bits. */
function moderate(random: Random): number {
  return random.chance(0.2) ? random.choice([0, -0]) : random.uniform() - 0.5
}

/** Some channels have no weight but 0, where weights may be masked. */
function addPlanes(
  tensors: Map<string, Tensor>,
  { name, out, weights, shifts }: Conv2d | Linear,
  taps: number,
  copies: number,
  random: Random,
): void {
  const bytes = Math.ceil(taps / 8)
  const planes = shifts.length
  const shape = [copies, planes, out, bytes]
  const sign = new Uint8Array(copies * planes * out * bytes)
  const mask = new Uint8Array(sign.length)
  for (let copy = 0; copy < copies; copy++) {
    for (let channel = 0; channel < out; channel++) {
      const empty = random.chance(0.1)
      for (let tap = 0; tap < taps; tap++) {
        const masked = weights !== 'binary' && (empty || random.chance(0.4))
        if (masked) continue
        const row = (copy * planes + random.integer(0, planes - 1)) * out + channel
        const bit = 1 << (tap % 8)
        mask[row * bytes + (tap >> 3)] |= bit
        if (random.chance(0.5)) sign[row * bytes + (tap >> 3)] |= bit
      }
    }
  }
  tensors.set(`${name}.sign`, { dtype: 'U8', shape, data: sign })
  if (weights !== 'binary') tensors.set(`${name}.mask`, { dtype: 'U8', shape, data: mask })
}
