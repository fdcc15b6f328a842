import t from 'tap'
import type { Tensor } from '../src/engine/format/safetensors.ts'
import type { ModelContent } from '../src/engine/format.ts'
import type { InputSpec, Operation } from '../src/engine/graph.ts'
import { conv2d, linear } from './random-model.ts'
import { encode, forward, type Value } from './reference.ts'

// Worked out by hand from docs/format.md: nothing else checks the oracle on operations that no shipped model has.

function input(height: number, width: number): InputSpec {
  return { height, width, channels: 1, resize: 'stretch' }
}

/** The values of a model of one member for the pixels p = x + 128. */
function run(
  image: InputSpec,
  operations: readonly Operation[],
  tensors: Readonly<Record<string, readonly number[]>>,
  x: readonly number[],
): ReadonlyMap<string, Value> {
  const model: Omit<ModelContent, 'check'> = {
    name: 'hand',
    input: image,
    labels: [],
    members: 1,
    defaultMembers: 1,
    operations,
    calibration: { temperature: [1], split: '', n: 0 },
    baseline: null,
    provenance: {},
    tensors: new Map(Object.entries(tensors).map(([name, data]) => [name, tensor(name, data)])),
  }
  return forward(
    model,
    Uint8Array.from(x, value => value + 128),
    0,
  )
}

function tensor(name: string, data: readonly number[]): Tensor {
  const shape = [1, data.length]
  if (/sign$|mask$/.test(name)) return { dtype: 'U8', shape, data: Uint8Array.from(data) }
  return name.includes('bits')
    ? { dtype: 'I32', shape, data: Int32Array.from(data) }
    : { dtype: 'F32', shape, data: Float32Array.from(data) }
}

const floats = { output: 'floats' } as const

t.test('a weight of several planes is the sum of theirs, each by its power of two', async t => {
  // Planes by the shifts 0, 3: weights +1, −1, 0, +8, −8.
  const sum = linear({ name: 'sum', input: 'image', out: 1, weights: 'shift', shifts: [0, 3], ...floats })
  const tensors = {
    'sum.sign': [0b00001, 0b01000],
    'sum.mask': [0b00011, 0b11000],
    'sum.scale': [0.5],
    'sum.bias': [0.25],
  }
  const values = run(input(1, 5), [sum], tensors, [3, 10, 100, 7, -2])
  // 3 − 10 + 56 + 16 = 65, halved, and a quarter more.
  t.strictSame(values.get('sum')!.numbers, [32.75])
})

t.test('bits fire where a sum of shifted weights reaches the threshold', async t => {
  const bits = linear({ name: 'bits', input: 'image', out: 2, weights: 'shift', shifts: [0, 7] })
  const tensors = {
    'bits.sign': [0b01, 0b00, 0b10, 0b10],
    'bits.mask': [0b01, 0b01, 0b10, 0b10],
    'bits.threshold': [-126, -129],
  }
  // Weights +1, +128 and −1, +128; x is 2 and −1: sums of −126 and −130.
  const values = run(input(1, 2), [bits], tensors, [2, -1])
  t.strictSame(values.get('bits')!.numbers, [1, -1])
})

t.test('a sign is +1 from the threshold on, and zeros of both signs are equal', async t => {
  const sum = conv2d({ name: 'sum', input: 'image', out: 2, ...floats })
  const sign: Operation = { op: 'sign', name: 'sign', input: 'sum' }
  const tensors = {
    'sum.sign': [1, 1],
    'sum.scale': [1, -1],
    'sum.bias': [0, -0],
    'sign.threshold': [2, 0],
  }
  // Floats 1, −1 | 2, −2 | 3, −3 | 0, −0.
  const values = run(input(2, 2), [sum, sign], tensors, [1, 2, 3, 0])
  t.ok(Object.is(values.get('sum')!.numbers[7], -0))
  t.strictSame(values.get('sign')!.numbers, [-1, -1, 1, -1, 1, -1, -1, 1])
  t.strictSame(
    [...encode(values.get('sign')!)].filter((_, index) => index % 8 === 0),
    [0, 1, 1, 2],
  )
})

t.test('a mean is of each channel by itself, summed in float32 and divided once', async t => {
  const sum = conv2d({ name: 'sum', input: 'image', out: 2, ...floats })
  const mean: Operation = { op: 'average_pool', name: 'mean', input: 'sum', size: 2 }
  const tensors = { 'sum.sign': [1, 1], 'sum.scale': [1, 1], 'sum.bias': [0.5, 2 ** 24] }
  const values = run(input(2, 4), [sum, mean], tensors, [2, 2, 4, -4, 6, 2, 0, 0])
  const { height, width, numbers } = values.get('mean')!
  t.strictSame([height, width], [1, 2])
  // (2.5 + 2.5 + 6.5 + 2.5) / 4 and (4.5 − 3.5 + 0.5 + 0.5) / 4. Beside them 2²⁵ + 4, + 2²⁴ + 6 = 3 · 2²⁴ + 10, a tie
  // that rounds to … + 8, + 2²⁴ + 2 = 2²⁶ + 10, which rounds to 2²⁶ + 8; the exact mean would be 16777219.
  t.strictSame(numbers, [3.5, 16777218, 0.5, 16777216])
})

t.test('floats are summed one after the other, each sum rounded', async t => {
  const values = conv2d({ name: 'values', input: 'image', out: 1, ...floats })
  const sum = linear({ name: 'sum', input: 'values', out: 2, weights: 'shift', shifts: [0, 1], ...floats })
  const tensors = {
    'values.sign': [1],
    'values.scale': [1],
    'values.bias': [2 ** 24],
    // Weights +1, +2, −1, −1 and −1, −1, +1, +2.
    'sum.sign': [0b0001, 0b0100, 0b0010, 0b1000],
    'sum.mask': [0b1101, 0b0111, 0b0010, 0b1000],
    'sum.scale': [1, 1],
    'sum.bias': [0, 0],
  }
  // Floats 2²⁴, 2²⁴ + 2, 2²⁴, 2²⁴ + 2. First: 2²⁴ + (2²⁵ + 4) = 50331652, − 2²⁴ = 33554436, − (2²⁴ + 2) = 16777218.
  // Second: −2²⁴ − (2²⁴ + 2) = −33554434, a tie that rounds to −2²⁵, + 2²⁴ = −2²⁴, + (2²⁵ + 4) = 16777220: exactly, 16777218.
  const { numbers } = run(input(1, 4), [values, sum], tensors, [0, 2, 0, 2]).get('sum')!
  t.strictSame(numbers, [16777218, 16777220])
})

t.test('what is added comes after scale and bias, rounded by itself', async t => {
  const stem = conv2d({ name: 'stem', input: 'image', out: 1, ...floats })
  const more = conv2d({ name: 'more', input: 'image', out: 1, ...floats, add: 'stem' })
  const tensors = {
    'stem.sign': [1],
    'stem.scale': [2 ** 24],
    'stem.bias': [0],
    'more.sign': [0],
    'more.scale': [1],
    'more.bias': [0],
  }
  // 2²⁴ − 1 is exact; 2²⁵ − 2, too; 3 · 2²⁴ − 3 lies between two even numbers, and rounds to the multiple of 8.
  const values = run(input(1, 3), [stem, more], tensors, [1, 2, 3])
  t.strictSame(values.get('more')!.numbers, [16777215, 33554430, 50331644])
})
