/** Random models of every operation, kind of weights and shape, small enough for the reference. */

import type { ModelContent } from '../src/engine/format.ts'
import {
  type Conv2d,
  type InputSpec,
  inferValues,
  type Linear,
  type Operation,
  tapsOf,
  type ValueType,
  type WeightKind,
} from '../src/engine/graph.ts'
import { conv2d, fillUnchecked, linear, type ModelSketch, Random } from './random-model.ts'

/** A model of any shape and of up to eight operations. Its check vectors are blank. */
export function randomModel(seed: number): ModelContent {
  const random = new Random(seed)
  return fillUnchecked(new Sketch(random).draw(), random)
}

/**
 * One convolution on several words of bits, with windows of 1×1 to 7×7: what models of any shape hardly ever hold,
 * since the reference would take too long. Its check vectors are blank.
 */
export function wideModel(seed: number): ModelContent {
  const random = new Random(seed)
  const kernel = random.integer(1, 7)
  const pool = random.choice([1, 2] as const)
  const padding = random.integer(0, kernel - 1)
  const stride = random.choice([1, 1, 2])
  const positions = random.integer(pool, 3)
  const side = Math.max(1, (positions - 1) * stride + kernel - 2 * padding)
  const input: InputSpec = { height: side, width: side, channels: 1, resize: 'stretch' }
  const operations = [
    conv2d({ name: 'wide', input: 'image', out: random.integer(65, 200) }),
    conv2d({
      name: 'windows',
      input: 'wide',
      out: random.integer(1, 9),
      ...randomWeights(random, 7),
      kernel,
      stride,
      padding,
      pool,
    }),
    linear({ name: 'logits', input: 'windows', out: 2, output: 'floats' }),
  ]
  return fillUnchecked({ input, operations, members: 1 }, random)
}

/**
 * Layers of many positions, many channels in and many out at once: what fills the register tiles of the kernels, and
 * leaves every remainder of them. Its check vectors are blank.
 */
export function tiledModel(seed: number): ModelContent {
  const random = new Random(seed)
  const input: InputSpec = {
    height: random.integer(1, 14),
    width: random.integer(1, 20),
    channels: random.choice([1, 3]),
    resize: 'stretch',
  }
  const operations: (Conv2d | Linear)[] = []
  const values = new Map<string, ValueType>([['image', { type: 'pixels', ...input }]])
  const add = (draw: () => Conv2d | Linear) => {
    for (let attempt = 0; attempt < 200; attempt++) {
      const operation = draw()
      const source = values.get(operation.input)!
      if (costOf(operation, source) > TILED_BUDGET) continue
      operations.push(operation)
      values.set(operation.name, outputOf(operation, source))
      return
    }
  }
  const conv = (name: string, from: string, kernels: readonly number[], strides: readonly number[]) => {
    const kernel = random.choice(kernels)
    return conv2d({
      name,
      input: from,
      out: random.integer(17, 200),
      ...randomWeights(random, 3),
      kernel,
      padding: random.integer(0, kernel - 1),
      stride: random.choice(strides),
      pool: random.choice([1, 1, 2]),
    })
  }
  const last = () => operations[operations.length - 1]?.name ?? 'image'
  add(() => conv('a', 'image', [1, 2, 3, 5, 7], [1, 1, 1, 2]))
  add(() => conv('b', last(), [1, 2, 3, 3], [1, 1, 2]))
  add(() => ({ ...conv('c', last(), [1, 3], [1]), pool: 1, output: 'floats' }))
  const source = operations.findLast(({ output }) => output === 'bits')?.name ?? 'image'
  add(() => linear({ name: 'd', input: source, out: random.integer(17, 300), ...randomWeights(random, 3) }))
  operations.push(linear({ name: 'logits', input: last(), out: random.integer(1, 20), output: 'floats' }))
  return fillUnchecked({ input, operations, members: 1 }, random)
}

/** Around the lanes and words that layouts are made of. */
const WIDTHS = [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 48, 49, 63, 64, 65, 96, 128, 130]

/** Multiplications of the reference for one row of one operation, at most. */
const BUDGET = 40_000
const TILED_BUDGET = 2 ** 21

/** Sums of pixels that become floats stay within ±2²⁴: 2⁷ · taps · 2^shift. */
const PIXEL_SUMS = 2 ** 17

class Sketch {
  readonly #random: Random
  readonly #input: InputSpec
  readonly #operations: Operation[] = []
  readonly #values: Map<string, ValueType>

  constructor(random: Random) {
    this.#random = random
    const side = () => random.choice([1, 2, 3, 4, 5, 8, 13, 16, 17])
    const [height, width] = [side(), side()]
    this.#input = { height, width, channels: random.choice([1, 3]), resize: 'stretch' }
    this.#values = new Map([['image', { type: 'pixels', height, width, channels: this.#input.channels }]])
  }

  draw(): ModelSketch {
    const random = this.#random
    for (let depth = random.integer(0, 7); depth > 0; depth--) {
      const name = `hidden${this.#operations.length}`
      const operation = (random.chance(0.4) && this.#residual(name)) || this.#hidden(name, this.#source())
      if (operation) this.#add(operation)
    }
    this.#add(this.#head())
    return { input: this.#input, operations: this.#operations, members: random.choice([1, 1, 2, 3]) }
  }

  #add(operation: Operation): void {
    this.#operations.push(operation)
    const last = { name: 'logits', input: 'image', out: 1, output: 'floats' } as const
    const graph = operation.name === 'logits' ? this.#operations : [...this.#operations, linear(last)]
    this.#values.set(operation.name, inferValues(this.#input, graph).values.get(operation.name)!)
  }

  /** Most operations follow each other; some branch off an earlier value, so that one value has several readers. */
  #source(): string {
    const names = [...this.#values.keys()]
    return this.#random.chance(0.7) ? names[names.length - 1] : this.#random.choice(names)
  }

  #hidden(name: string, input: string): Operation | null {
    const source = this.#values.get(input)!
    return source.type === 'floats'
      ? this.#onFloats(name, input, source)
      : this.#weighted(name, input, source)
  }

  #onFloats(name: string, input: string, source: ValueType): Operation | null {
    const random = this.#random
    if (random.chance(0.5)) return { op: 'sign', name, input }
    if (random.chance(0.5)) {
      const sizes = [1, 2, 3, 4, 8].filter(size => source.height % size === 0 && source.width % size === 0)
      return { op: 'average_pool', name, input, size: random.choice(sizes) }
    }
    const sum = linear({
      name,
      input,
      out: random.choice(WIDTHS),
      ...randomWeights(random, 7),
      output: 'floats',
    })
    return costOf(sum, source) <= BUDGET ? sum : { ...sum, out: 1 }
  }

  /** A sum over some value, of the shape of floats that are there already, which it adds; null where nothing fits. */
  #residual(name: string): Conv2d | Linear | null {
    const random = this.#random
    const kernel = random.choice([1, 3, 5, 7])
    const values = [...this.#values]
    const pairs = values.flatMap(addend => values.map(source => [addend, source] as const))
    const sums = pairs.flatMap(([[add, addend], [input, source]]): (Conv2d | Linear)[] => {
      const { type, height, width, channels: out } = addend
      if (type !== 'floats') return []
      const common = { name, input, out, output: 'floats', add } as const
      const isSame = source.type !== 'floats' && source.height === height && source.width === width
      return [
        ...(height * width === 1 ? [linear(common)] : []),
        ...(isSame ? [conv2d({ ...common, kernel, padding: (kernel - 1) / 2 })] : []),
      ].filter(sum => costOf(sum, source) <= BUDGET)
    })
    if (sums.length === 0) return null
    const windows = sums.filter(({ op }) => op === 'conv2d')
    const sum = random.choice(windows.length > 0 && random.chance(0.8) ? windows : sums)
    return { ...sum, ...this.#weightsFor(sum, this.#values.get(sum.input)!) }
  }

  #weighted(name: string, input: string, source: ValueType): Operation | null {
    const random = this.#random
    const isLinear = random.chance(0.25)
    const wanted = random.choice([1, 1, 2, 3, 4, 5, 6, 7])
    for (let attempt = 0; attempt < 50; attempt++) {
      const out = random.chance(0.7) ? random.choice(WIDTHS) : random.integer(1, 130)
      const common = { name, input, out, output: random.chance(0.35) ? 'floats' : 'bits' } as const
      const pool = common.output === 'bits' && random.chance(0.5) ? 2 : 1
      // What keeps the size of the image can be added to later.
      const keepsSize = random.chance(0.4)
      const stride = keepsSize ? 1 : random.choice([1, 1, 1, 2, 3, 4])
      // Large windows fit the budget seldom, and would hardly come up if another draw were as good.
      const kernel = attempt < 25 ? wanted : random.integer(1, wanted)
      const padding = keepsSize ? kernel >> 1 : random.chance(0.5) ? 0 : random.integer(0, kernel - 1)
      const sum = isLinear ? linear(common) : conv2d({ ...common, kernel, stride, padding, pool })
      if (costOf(sum, source) <= BUDGET) return { ...sum, ...this.#weightsFor(sum, source) }
    }
    return null
  }

  #weightsFor(operation: Conv2d | Linear, source: ValueType): Pick<Linear, 'weights' | 'shifts'> {
    const sums = operation.output === 'floats' && source.type === 'pixels'
    const largest = sums ? Math.floor(Math.log2(PIXEL_SUMS / tapsOf(operation, source))) : 7
    return randomWeights(this.#random, Math.min(7, largest))
  }

  #head(): Operation {
    const random = this.#random
    const input = random.choice([...this.#values.keys()].slice(-3))
    const source = this.#values.get(input)!
    const { height, width } = source
    const common = { name: 'logits', input, out: random.integer(1, 11), output: 'floats' } as const
    const square = height === width && height <= 7 && source.type !== 'floats'
    const head = square && random.chance(0.3) ? conv2d({ ...common, kernel: height }) : linear(common)
    return { ...head, ...this.#weightsFor(head, source) }
  }
}

/** Empty where no window fits. */
function outputOf(operation: Conv2d | Linear, source: ValueType): ValueType {
  const { out: channels, output: type } = operation
  if (operation.op === 'linear') return { type, height: 1, width: 1, channels }
  const { kernel, stride, padding, pool } = operation
  const positions = (size: number) => Math.max(0, Math.floor((size + 2 * padding - kernel) / stride) + 1)
  const pooled = (size: number) => Math.floor(positions(size) / pool)
  return { type, height: pooled(source.height), width: pooled(source.width), channels }
}

/** Multiplications of the reference for one row; infinite where no window fits. */
function costOf(operation: Conv2d | Linear, source: ValueType): number {
  const { height, width, channels } = outputOf(operation, source)
  const windows = height * width * (operation.op === 'conv2d' ? operation.pool ** 2 : 1)
  return windows === 0 ? Number.POSITIVE_INFINITY : windows * channels * tapsOf(operation, source)
}

/** @param largest of the shifts */
function randomWeights(random: Random, largest: number): Pick<Linear, 'weights' | 'shifts'> {
  const weights: WeightKind = random.choice(['binary', 'ternary', 'shift'])
  if (weights !== 'shift') return { weights, shifts: [0] }
  const shifts = Array.from({ length: largest }, (_, index) => index + 1)
  const density = random.uniform()
  return { weights, shifts: [0, ...shifts.filter(() => random.chance(density))] }
}
