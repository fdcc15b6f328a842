import t from 'tap'
import type { Tensor } from '../../src/engine/format/safetensors.ts'
import type { ModelContent } from '../../src/engine/format.ts'
import { type InputSpec, inferValues, type Operation } from '../../src/engine/graph.ts'
import { checkMagnitudes } from '../../src/engine/magnitude.ts'
import { conv2d, linear, Random, randomTensors } from '../random-model.ts'

/** Checks a model of one member whose scales and biases are as told, else 1 and 0. */
function check(
  operations: readonly Operation[],
  constants: Readonly<Record<string, number>> = {},
  input: InputSpec = { height: 4, width: 4, channels: 1, resize: 'stretch' },
): void {
  const tensors = new Map(randomTensors({ input, operations, members: 1 }, new Random(1)))
  for (const [name, tensor] of tensors) {
    if (!/scale$|bias$/.test(name)) continue
    const data = new Float32Array(tensor.data.length).fill(
      constants[name] ?? (name.endsWith('scale') ? 1 : 0),
    )
    tensors.set(name, { ...tensor, data } as Tensor)
  }
  const content: Pick<ModelContent, 'operations' | 'tensors'> = { operations, tensors }
  checkMagnitudes(content, inferValues(input, operations))
}

const stem = conv2d({ name: 'stem', input: 'image', out: 1, output: 'floats' })
const head = linear({ name: 'logits', input: 'stem', out: 1, output: 'floats' })

function sums(out: number, count: number): Operation[] {
  return Array.from({ length: count }, (_, index) =>
    linear({ name: `sum${index}`, input: index === 0 ? 'stem' : `sum${index - 1}`, out, output: 'floats' }),
  )
}

t.test('floats that stay moderate are taken', async t => {
  t.doesNotThrow(() => check([stem, head]))
  // 2⁷ · 2⁶⁴ of a pixel, 2⁴ of them, and 2⁵¹: 2¹²⁶.
  t.doesNotThrow(() => check([stem, head], { 'stem.scale': 2 ** 64, 'logits.scale': 2 ** 51 }))
})

t.test('an operation whose scale may lead beyond float32 is refused by name', async t => {
  t.throws(() => check([stem, head], { 'stem.scale': 2 ** 64, 'logits.scale': -(2 ** 52) }), {
    code: 'MODEL_UNSUPPORTED',
    message: /^logits: its floats may leave/,
  })
})

t.test('a sum that may overflow is refused, however small the scale is that follows', async t => {
  const chain = [stem, ...sums(16, 13), { ...head, input: 'sum12' }]
  const constants = { 'stem.scale': 2 ** 64, 'logits.scale': 2 ** -64 }
  // 2⁷¹, and 2⁴ times that in each of the thirteen sums: 2¹²³, and 2¹²⁷ in the last.
  t.throws(() => check(chain, constants), { code: 'MODEL_UNSUPPORTED', message: /^logits:/ })
  t.doesNotThrow(() => check([...chain.slice(0, 13), { ...head, input: 'sum11' }], constants))
})

t.test('a bias counts, though the sums before it are 0', async t => {
  const constants = { 'stem.scale': 0, 'stem.bias': -(2 ** 64) }
  // 2⁶⁴, 2⁴ of them, and 2⁵⁸ or 2⁵⁹ that.
  t.doesNotThrow(() => check([stem, head], { ...constants, 'logits.scale': 2 ** 58 }))
  t.throws(() => check([stem, head], { ...constants, 'logits.scale': 2 ** 59 }), {
    code: 'MODEL_UNSUPPORTED',
    message: /^logits: its floats may leave/,
  })
})

t.test('additions count', async t => {
  const grown = sums(1, 1)
    .concat(head)
    .map(operation => ({ ...operation, input: 'stem' }))
  const constants = { 'stem.scale': 2 ** 64, 'sum0.scale': 2 ** 50, 'logits.scale': 2 ** 51 }
  t.doesNotThrow(() => check([stem, ...grown], constants))
  const added = grown.map((operation, index) => (index === 1 ? { ...operation, add: 'sum0' } : operation))
  t.doesNotThrow(() => check([stem, ...added], constants))
  const doubled = { ...constants, 'sum0.scale': 2 ** 51 }
  t.throws(() => check([stem, ...added], doubled), { code: 'MODEL_UNSUPPORTED', message: /^logits:/ })
})

t.test('a mean is no larger than its values, for all that it sums', async t => {
  const mean: Operation = { op: 'average_pool', name: 'mean', input: 'stem', size: 4 }
  const last = { ...head, input: 'mean' }
  // 2⁷¹ of a value or a mean, and 2⁵⁵ or 2⁵⁶ that.
  t.doesNotThrow(() => check([stem, mean, last], { 'stem.scale': 2 ** 64, 'logits.scale': 2 ** 55 }))
  t.throws(() => check([stem, mean, last], { 'stem.scale': 2 ** 64, 'logits.scale': 2 ** 56 }), {
    code: 'MODEL_UNSUPPORTED',
    message: /^logits:/,
  })
})

t.test('integers that may leave 32 bits are refused where they become bits', async t => {
  const input = { height: 512, width: 512, channels: 1, resize: 'stretch' } as const
  const bits = (shift: number) => [
    linear({ name: 'bits', input: 'image', out: 1, weights: 'shift', shifts: [0, shift] }),
    linear({ name: 'logits', input: 'bits', out: 1, output: 'floats' }),
  ]
  // 2¹⁸ pixels of up to 255, times 16: a little less than 2³⁰.
  t.doesNotThrow(() => check(bits(4), {}, input))
  t.throws(() => check(bits(5), {}, input), { code: 'MODEL_TOO_LARGE', message: /^bits: its sums may leave/ })
})
