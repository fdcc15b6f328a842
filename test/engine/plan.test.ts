import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Model, ModelContent } from '../../src/engine/format.ts'
import type { InputSpec, Operation, WeightKind } from '../../src/engine/graph.ts'
import { STEP_BYTES, type StepField, stepFields, stepKinds } from '../../src/engine/kernels/step.ts'
import { fillArena, type Plan, planModel, stepAddress } from '../../src/engine/plan.ts'
import { randomModel } from '../random-graph.ts'
import { conv2d, fillSketch, linear, Random, randomTensors } from '../random-model.ts'
import { load, reparse } from './load.ts'

function modelOf(...operations: readonly Operation[]): ModelContent {
  const input = { height: 4, width: 4, channels: 1, resize: 'stretch' } as const
  return fillSketch({ input, operations, members: 2 }, new Random(3))
}

/** A model that is too large for the reference, so without check vectors. */
function unchecked(input: InputSpec, members: number, ...operations: readonly Operation[]): Model {
  const tensors = randomTensors({ input, operations, members }, new Random(4))
  return { ...modelOf(head), input, operations, members, tensors, digest: '' }
}

const head = linear({ name: 'logits', input: 'image', out: 2, output: 'floats' })

function field(arena: SharedArrayBuffer, address: number, name: StepField): number {
  return new DataView(arena).getUint32(address + 4 * stepFields.indexOf(name), true)
}

function stepsOf(plan: Plan, arena: SharedArrayBuffer, member: number, name: StepField): number[] {
  const steps = Array.from({ length: plan.stepsPerMember }, (_, step) => stepAddress(plan, member, step))
  return steps.map(address => field(arena, address, name))
}

t.test('an arena beyond 32-bit addresses is refused', async t => {
  const model = reparse(modelOf(head))
  t.throws(() => planModel(model, { slots: 2 ** 20, maxRows: 64 }), {
    code: 'MODEL_TOO_LARGE',
    message: /^1048576 slots of 64 rows/,
  })
})

/** A model whose check vectors have so many rows: more than a file may hold. */
function withRows(model: Model, rows: number): Model {
  return { ...model, check: { ...model.check, rows } }
}

const tooManyChecks = { code: 'MODEL_TOO_LARGE', message: /^the check vectors take more than/ }

t.test('check vectors that would hold a worker for minutes are refused', async t => {
  const model = reparse(modelOf({ ...head, out: 1 }))
  // 2 members, and of each 4 groups of four bytes for 16 lanes, two of which count as a word, and eight for 4 bytes.
  t.doesNotThrow(() => planModel(withRows(model, 2 ** 30), { slots: 1 }))
  t.throws(() => planModel(withRows(model, 2 ** 30 + 1), { slots: 1 }), tooManyChecks)
})

t.test('check vectors cost what the format says', async t => {
  const model = unchecked(
    { height: 5, width: 5, channels: 1, resize: 'stretch' },
    1,
    conv2d({ name: 'conv1', input: 'image', out: 3, kernel: 3, padding: 1 }),
    conv2d({ name: 'conv2', input: 'conv1', out: 20, weights: 'ternary', kernel: 3, padding: 1, pool: 2 }),
    linear({ name: 'dense', input: 'conv1', out: 17 }),
    linear({ name: 'logits', input: 'conv2', out: 5, output: 'floats' }),
  )
  // conv1: 25 · 16 sums of 3 groups, 25 · 8 bytes: 600 + 1,600. conv2: 16 · 32 sums of 3 words, 4 · 8 bytes: 1,536 + 256.
  // dense: 32 sums of 5 · 2 words, 8 bytes: 320 + 64. logits: 16 sums of 2 words, 20 bytes: 32 + 160. 2³⁷ over all that:
  t.doesNotThrow(() => planModel(withRows(model, 30_087_336), { slots: 1 }))
  t.throws(() => planModel(withRows(model, 30_087_337), { slots: 1 }), tooManyChecks)
})

t.test('outputs that cost little to compute and much to hash count in check vectors', async t => {
  const input = { height: 256, width: 256, channels: 1, resize: 'stretch' } as const
  const stem = conv2d({ name: 'stem', input: 'image', out: 16, output: 'floats' })
  const copies = Array.from(
    { length: 60 },
    (_, index): Operation => ({ op: 'average_pool', name: `m${index}`, input: 'stem', size: 1 }),
  )
  const model = (members: number) => unchecked(input, members, stem, ...copies, head)
  // 61 times 2²⁰ floats of 4 bytes: nearly 2³¹ of each of the 8 rows and of a member, beside 2²⁵ to compute them.
  t.doesNotThrow(() => planModel(model(8), { slots: 1, maxRows: 1 }))
  t.throws(() => planModel(model(9), { slots: 1, maxRows: 1 }), tooManyChecks)
})

t.test('operations without weights count in check vectors', async t => {
  const input = { height: 1024, width: 1024, channels: 1, resize: 'stretch' } as const
  const stem = conv2d({ name: 'stem', input: 'image', out: 16, output: 'floats' })
  const means = Array.from(
    { length: 253 },
    (_, index): Operation => ({ op: 'average_pool', name: `m${index}`, input: 'stem', size: 1024 }),
  )
  const last = { ...head, input: 'bits' }
  const bits = conv2d({ name: 'bits', input: 'image', out: 1, kernel: 4, stride: 4, pool: 2 })
  const model = (members: number) => unchecked(input, members, stem, ...means, bits, last)
  // 253 times 2²⁴ floats, two to a word, and 2²⁶ bytes of the stem: nearly 2³¹ + 2²⁹ of each of the 8 rows and of a member.
  t.doesNotThrow(() => planModel(model(6), { slots: 1, maxRows: 1 }))
  t.throws(() => planModel(model(7), { slots: 1, maxRows: 1 }), tooManyChecks)
})

t.test('a plan is small, and survives being cloned to a worker', async t => {
  const plan = planModel(reparse(modelOf(head)), { slots: 3 })
  t.strictSame(structuredClone(plan), plan)
  t.equal(plan.slots, 3)
  t.equal(plan.rowBytes, 16)
  t.equal(plan.members, 2)
  t.equal(plan.classes, 2)
  t.strictSame(plan.operationNames, ['logits'])
  // 2 sums over 16 pixels, which fill one word eight times.
  t.equal(plan.wordOperations, 16)
  t.equal(plan.arenaBytes, plan.slotsAddress + 3 * plan.slotBytes)
})

t.test('the costlier a row, the fewer of them make a batch, and one at least', async t => {
  const rowsOf = (side: number, ...operations: readonly Operation[]) => {
    const input = { height: side, width: side, channels: 1, resize: 'stretch' } as const
    return planModel(unchecked(input, 2, ...operations, { ...head, input: 'a' }), { slots: 1 }).maxRows
  }
  const conv = conv2d({ name: 'a', input: 'image', out: 64, kernel: 3, padding: 1 })
  t.equal(rowsOf(4, conv), 64)
  // Each of 256 · 256 · 64 sums takes 3 groups of bytes, half a word each, and 16 lanes of logits 65,536 words each,
  // which makes 7,340,032: 2²⁸ over that is 36.6.
  t.equal(rowsOf(256, conv), 36)
  // Each of 256 · 256 pixels takes 4 · 256 bytes: 2²⁶ and more, of 2²⁵.
  t.equal(rowsOf(256, { ...conv, out: 256, kernel: 1, padding: 0, output: 'floats', name: 'wide' }, conv), 1)
})

function vggSmall(weights: WeightKind): Model {
  const input = { height: 32, width: 32, channels: 3, resize: 'stretch' } as const
  const conv = (name: string, from: string, out: number, pool: 1 | 2) =>
    conv2d({ name, input: from, out, weights, kernel: 3, padding: 1, pool })
  return unchecked(
    input,
    1,
    conv('a', 'image', 128, 1),
    conv('b', 'a', 128, 2),
    conv('c', 'b', 256, 1),
    conv('d', 'c', 256, 2),
    conv('e', 'd', 512, 1),
    conv('f', 'e', 512, 2),
    linear({ name: 'logits', input: 'f', out: 10, weights, output: 'floats' }),
  )
}

/** 27 · 128 + 9 · (128 · 128 + 128 · 256 + 256 · 256 + 256 · 512 + 512 · 512) + 16 · 512 · 10 */
const VGG_SMALL_WEIGHTS = 4_656_512

t.test('packed weights take hardly more than a bit each, two where they are ternary', async t => {
  const bitsAWeight = (weights: WeightKind) =>
    (8 * planModel(vggSmall(weights), { slots: 1 }).weightBytes) / VGG_SMALL_WEIGHTS
  t.ok(bitsAWeight('binary') >= 1 && bitsAWeight('binary') < 1.03)
  t.ok(bitsAWeight('ternary') >= 2 && bitsAWeight('ternary') < 2.06)
})

t.test('packed weights count once for each member that has its own', async t => {
  const model = unchecked({ height: 4, width: 4, channels: 1, resize: 'stretch' }, 3, head)
  const weightBytes = (copies: number) => {
    const sign = { dtype: 'U8', shape: [copies, 1, 2, 2], data: new Uint8Array(4 * copies) } as const
    const tensors = new Map([...model.tensors, ['logits.sign', sign]])
    return planModel({ ...model, tensors }, { slots: 1 }).weightBytes
  }
  // 4 groups of four bytes for 16 lanes.
  t.equal(weightBytes(1), 256)
  t.equal(weightBytes(3), 768)
})

t.test('a batch of a network of seven layers needs less than 2 MB', async t => {
  const { slotBytes, maxRows } = planModel(vggSmall('binary'), { slots: 1 })
  t.ok(maxRows >= 16)
  t.ok(slotBytes < 2_000_000)
  // Larger than the pixels and the largest value and its successor: bits of 34 × 34 × 128 and 18 × 18 × 128.
  t.ok(slotBytes > maxRows * (32 * 32 * 3 + (34 * 34 + 18 * 18) * 16))
})

t.test('only an image that is read with padding is copied, once a member', async t => {
  const padded = conv2d({ name: 'padded', input: 'image', out: 3, kernel: 3, padding: 1 })
  const plain = conv2d({ name: 'plain', input: 'image', out: 3, kernel: 3 })
  const kinds = (...operations: readonly Operation[]) => {
    const { plan, arena } = load(reparse(modelOf(...operations)), { slots: 1 })
    return [plan.firstOperation, [0, 1].map(member => stepsOf(plan, arena, member, 'kind'))]
  }
  t.strictSame(kinds(plain, head), [
    0,
    [
      [1, 1],
      [1, 1],
    ],
  ])
  t.strictSame(kinds(plain, padded, head), [
    1,
    [
      [0, 1, 1, 1],
      [0, 1, 1, 1],
    ],
  ])
})

t.test('operations without padding read the pixels where they were written', async t => {
  const padded = conv2d({ name: 'padded', input: 'image', out: 3, kernel: 3, padding: 1 })
  const { plan, arena } = load(reparse(modelOf(padded, head)), { slots: 1, maxRows: 3 })
  const [image, reader, last] = stepsOf(plan, arena, 0, 'input')
  t.equal(image, plan.pixelsOffset)
  t.equal(last, plan.pixelsOffset)
  // The copy lies behind the 48 bytes of three rows.
  t.equal(reader, 64)
})

t.test('all that kernels are told lies where it may', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.integer({ min: 0 }), fc.integer({ min: 1, max: 9 }), (seed, maxRows) => {
        const model = reparse(randomModel(seed))
        const { plan, arena } = load(model, { slots: 2, maxRows })
        assert.equal(plan.slotBytes % 64, 0)
        assert.equal(plan.slotsAddress % 64, 0)
        const pixelsEnd = plan.pixelsOffset + maxRows * plan.rowBytes
        for (const { type, channels, offset, border, row, line, pixel } of plan.outputs) {
          assert.ok(offset >= pixelsEnd && offset + maxRows * row + 64 <= plan.slotBytes)
          assert.equal(offset % 64, 0)
          const alignment = type === 'floats' ? 64 : channels <= 16 ? 2 : channels <= 32 ? 4 : 8
          for (const stride of [row, line, pixel]) assert.equal(stride % alignment, 0)
          if (type === 'floats') assert.equal(border, 0)
        }
        const lines = stepsOf(plan, arena, 0, 'lines')
        for (const [step, kind] of stepsOf(plan, arena, 0, 'kind').entries()) {
          if (kind === stepKinds.linear) assert.equal(lines[step], 1)
        }
        for (let member = 0; member < plan.members; member++) {
          for (const table of ['weights', 'limits', 'totals', 'scales', 'biases'] as const) {
            for (const address of stepsOf(plan, arena, member, table)) {
              const steps = plan.stepsAddress + STEP_BYTES * plan.members * plan.stepsPerMember
              assert.ok(address === 0 || (address >= steps && address < plan.slotsAddress))
              assert.equal(address % 64, 0)
            }
          }
        }
      }),
      { numRuns: 100 },
    ),
  )
})

t.test('weights of pixels are the same bytes whatever the batch', async t => {
  const model = reparse(modelOf(head))
  const parametersOf = (maxRows: number) => {
    const plan = planModel(model, { slots: 1, maxRows })
    const arena = new SharedArrayBuffer(plan.arenaBytes)
    fillArena(model, plan, arena)
    const end = plan.slotsAddress
    return Buffer.from(new Uint8Array(arena, end - plan.parameterBytes, plan.parameterBytes)).toString('hex')
  }
  t.equal(parametersOf(1), parametersOf(40))
})
