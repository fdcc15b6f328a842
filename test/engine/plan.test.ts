import t from 'tap'
import type { ModelContent } from '../../src/engine/format.ts'
import type { Operation } from '../../src/engine/graph.ts'
import { planModel } from '../../src/engine/plan.ts'
import { conv2d, fillSketch, linear, Random, randomTensors } from '../random-model.ts'
import { reparse } from './load.ts'

function modelOf(...operations: readonly Operation[]): ModelContent {
  const input = { height: 4, width: 4, channels: 1, resize: 'stretch' } as const
  return fillSketch({ input, operations, members: 2 }, new Random(3))
}

const stem = conv2d({ name: 'stem', input: 'image', out: 3, output: 'floats' })
const head = linear({ name: 'logits', input: 'image', out: 2, output: 'floats' })

t.test('what the engine cannot run is refused by name', async t => {
  const refused = (content: ModelContent, message: RegExp) =>
    t.throws(() => planModel(reparse(content), { slots: 1 }), { code: 'MODEL_UNSUPPORTED', message })
  refused(modelOf(stem, { op: 'sign', name: 's', input: 'stem' }, head), /^s: sign cannot be run/)
  refused(modelOf(stem, { op: 'average_pool', name: 'd', input: 'stem', size: 2 }, head), /^d: average_pool/)
  refused(modelOf(stem, { ...stem, name: 'more', add: 'stem' }, head), /^more: add/)
  refused(modelOf(stem, { ...head, input: 'stem' }), /^logits: linear on floats/)
  refused(modelOf({ ...head, weights: 'shift', shifts: [0, 1] }), /^logits: shift weights/)
})

t.test('an arena beyond 32-bit addresses is refused', async t => {
  const model = reparse(modelOf(head))
  t.throws(() => planModel(model, { slots: 2 ** 20, maxRows: 64 }), {
    code: 'MODEL_TOO_LARGE',
    message: /^1048576 slots of 64 rows/,
  })
})

t.test('check vectors that would hold a worker for minutes are refused', async t => {
  const model = reparse(modelOf(head))
  // 16 word operations a row and member, 2 members.
  const withRows = (rows: number) => planModel({ ...model, check: { ...model.check, rows } }, { slots: 1 })
  t.doesNotThrow(() => withRows(2 ** 32))
  t.throws(() => withRows(2 ** 32 + 1), {
    code: 'MODEL_TOO_LARGE',
    message: /^the check vectors take more than/,
  })
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
    const sketch = { input, operations: [...operations, { ...head, input: 'a' }], members: 2 }
    const tensors = randomTensors(sketch, new Random(4))
    return planModel({ ...modelOf(head), ...sketch, tensors, digest: '' }, { slots: 1 }).maxRows
  }
  const conv = conv2d({ name: 'a', input: 'image', out: 64, kernel: 3, padding: 1 })
  t.equal(rowsOf(4, conv), 64)
  // Each of 256 · 256 · 64 sums takes 8 words, and two logits 65,536: 2^27 over 33,685,504 is 3.98.
  t.equal(rowsOf(256, conv), 3)
  // Each of 256 · 256 pixels takes 4 · 256 bytes: 2^26 and more, of 2^25.
  t.equal(rowsOf(256, { ...conv, out: 256, kernel: 1, padding: 0, output: 'floats', name: 'wide' }, conv), 1)
})
