import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Tensor } from '../../src/engine/format/safetensors.ts'
import { type Model, parseModel } from '../../src/engine/format.ts'
import { type NetworkSlot, verifyNetwork } from '../../src/engine/network.ts'
import { randomModel, wideModel } from '../random-graph.ts'
import { Random } from '../random-model.ts'
import { checkVectors, encode, forward, logitsOf } from '../reference.ts'
import { load, reparse, tinyBytes } from './load.ts'

const tiny = parseModel(tinyBytes())

/** As an array, since tap compares typed arrays element by element, slowly. */
function hex(bytes: Uint8Array | Float32Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** Every operation's output for all rows, by the reference. */
function referenceTrace(model: Model, pixels: Uint8Array, rows: number, member: number): string[] {
  const rowBytes = pixels.length / rows
  const values = Array.from({ length: rows }, (_, row) =>
    forward(model, pixels.subarray(row * rowBytes, (row + 1) * rowBytes), member),
  )
  return model.operations.map(({ name }) => hex(Buffer.concat(values.map(value => encode(value.get(name)!)))))
}

t.test("the reference reproduces NumPy's check vectors", async t => {
  const check = checkVectors(tiny, tiny.check.image)
  t.equal(hex(check.digest), hex(tiny.check.digest))
  t.equal(hex(check.logits), hex(tiny.check.logits))
})

t.test("the kernels reproduce NumPy's check vectors in batches of any size", async t => {
  for (const maxRows of [undefined, 1, 2, 3, 4, 5, 8, 11]) {
    const { network } = load(tiny, { slots: 1, maxRows })
    t.doesNotThrow(() => verifyNetwork(network.slot(0), tiny.check))
  }
})

t.test("on random models every output of every member is the reference's, whatever the batch", async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.integer({ min: 0 }), fc.integer({ min: 1, max: 17 }), (seed, rows) => {
        const model = reparse(randomModel(seed))
        const { network, plan } = load(model, { slots: 2, maxRows: 17 })
        const random = new Random(seed + 1)
        const slot = network.slot(random.integer(0, 1))
        const member = random.integer(0, model.members - 1)
        const pixels = random.bytes(rows * plan.rowBytes)
        const outputs = slot.trace(pixels, rows, member).map(hex)
        assert.deepEqual(outputs, referenceTrace(model, pixels, rows, member))
      }),
      { numRuns: 150 },
    ),
  )
})

t.test('windows of every size on several words of bits give the sums of the reference', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.integer({ min: 0 }), fc.integer({ min: 1, max: 5 }), (seed, rows) => {
        const model = reparse(wideModel(seed))
        const { network, plan } = load(model, { slots: 1, maxRows: 5 })
        const pixels = new Random(seed + 1).bytes(rows * plan.rowBytes)
        const outputs = network.slot(0).trace(pixels, rows, 0).map(hex)
        assert.deepEqual(outputs, referenceTrace(model, pixels, rows, 0))
      }),
      { numRuns: 100 },
    ),
  )
})

t.test('logits of random models are [rows, members, classes] of the reference', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.integer({ min: 0 }), fc.integer({ min: 1, max: 5 }), (seed, rows) => {
        const model = reparse(randomModel(seed))
        const { network, plan } = load(model, { slots: 1, maxRows: 5 })
        const random = new Random(seed + 1)
        const members = random.integer(1, model.members)
        const pixels = random.bytes(rows * plan.rowBytes)
        const logits = network.slot(0).classify(pixels, rows, members)
        assert.equal(hex(logits), hex(logitsOf(model, pixels, rows, members)))
      }),
      { numRuns: 50 },
    ),
  )
})

t.test("a row's logits do not depend on its neighbours, its place or the slot", async t => {
  const { network, plan } = load(tiny, { slots: 3, maxRows: 17 })
  const pixels = new Random(5).bytes(17 * plan.rowBytes)
  const together = network.slot(2).classify(pixels, 17, 3)
  for (let row = 0; row < 17; row++) {
    const alone = network.slot(0).classify(pixels.subarray(row * plan.rowBytes), 1, 3)
    t.equal(hex(alone), hex(together.subarray(row * 15, (row + 1) * 15)))
  }
})

t.test('pixels written into the slot need no copy', async t => {
  const { network, plan } = load(tiny, { slots: 2, maxRows: 4 })
  const slot = network.slot(1)
  t.equal(slot.pixels.length, 4 * plan.rowBytes)
  const pixels = new Random(6).bytes(4 * plan.rowBytes)
  slot.pixels.set(pixels)
  t.equal(hex(slot.classify(slot.pixels, 4, 2)), hex(logitsOf(tiny, pixels, 4, 2)))
  t.equal(hex(slot.pixels), hex(pixels))
})

t.test("logits stay the caller's when the slot is used again", async t => {
  const { network, plan } = load(tiny, { slots: 1, maxRows: 1 })
  const slot = network.slot(0)
  const first = slot.classify(new Uint8Array(plan.rowBytes), 1, 1)
  const before = hex(first)
  slot.classify(new Uint8Array(plan.rowBytes).fill(200), 1, 1)
  t.equal(hex(first), before)
})

t.test('a run writes nothing outside its slot, and leaves its borders alone', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.integer({ min: 0 }), seed => {
        const model = reparse(randomModel(seed))
        const { network, plan, arena } = load(model, { slots: 3, maxRows: 5 })
        const bytes = new Uint8Array(arena)
        const middle = plan.slotsAddress + plan.slotBytes
        bytes.fill(0xa5, plan.slotsAddress, middle)
        bytes.fill(0xa5, middle + plan.slotBytes, plan.arenaBytes)
        const outside = () => hex(bytes.subarray(0, middle)) + hex(bytes.subarray(middle + plan.slotBytes))
        const before = outside()
        const random = new Random(seed + 1)
        const slot = network.slot(1)
        const pixels = random.bytes(5 * plan.rowBytes)
        const first = hex(slot.classify(pixels, 5, model.members))
        slot.classify(random.bytes(5 * plan.rowBytes), 5, model.members)
        assert.ok(outside() === before)
        assert.equal(hex(slot.classify(pixels, 5, model.members)), first)
      }),
      { numRuns: 50 },
    ),
  )
})

t.test('weights that all members share lie in the arena once', async t => {
  const shared = (members: number) => {
    const one = randomModel(11)
    return load(reparse({ ...one, ...clones(one, members) }), { slots: 1 }).plan.weightBytes
  }
  t.equal(shared(8), shared(1))
})

/** The same model, its only member several times. */
function clones(content: ReturnType<typeof randomModel>, members: number) {
  const tensors = new Map([...content.tensors].map(([name, tensor]) => [name, firstOnly(tensor)]))
  const calibration = { temperature: Array<number>(members).fill(1), split: '', n: 0 }
  const repeated = { ...content, tensors, members, defaultMembers: 1, calibration }
  return { ...repeated, check: checkVectors(repeated, content.check.image) }
}

function firstOnly(tensor: Tensor): Tensor {
  const length = tensor.data.length / tensor.shape[0]
  const shape = [1, ...tensor.shape.slice(1)]
  return { ...tensor, shape, data: tensor.data.slice(0, length) } as Tensor
}

t.test('a model with one tensor changed and its digest right again is refused', async t => {
  const changed = (name: string, change: (data: Tensor['data']) => void): Model => {
    const tensors = new Map(tiny.tensors)
    const tensor = tensors.get(name)!
    const data = tensor.data.slice()
    change(data)
    tensors.set(name, { ...tensor, data } as Tensor)
    return reparse({ ...tiny, tensors })
  }
  const slotOf = (model: Model): NetworkSlot => load(model, { slots: 1 }).network.slot(0)
  const refused = (model: Model, message: RegExp) =>
    t.throws(() => verifyNetwork(slotOf(model), model.check), { code: 'MODEL_CHECK_FAILED', message })

  const mask = tiny.tensors.get('conv2.mask')!.data
  refused(
    changed('conv2.sign', data => {
      for (let i = 0; i < data.length; i++) data[i] ^= mask[i]
    }),
    /^member 0, operation conv2:/,
  )
  refused(
    changed('conv3.threshold', data => void data.fill(2 ** 30)),
    /^member 0, operation conv3:/,
  )
  refused(
    changed('dense.threshold', data => void data.fill(-(2 ** 30))),
    /^member 0, operation dense:/,
  )
  refused(
    changed('conv1.threshold', data => void data.subarray(140).fill(-(2 ** 30))),
    /^member 2, operation conv1:/,
  )
  refused(
    changed('logits.scale', data => void data.fill(-3)),
    /^member 0, operation logits:/,
  )
})

t.test('check logits that differ from the digests are refused', async t => {
  const logits = tiny.check.logits.slice()
  logits[logits.length - 1] += 1
  const { network } = load(tiny, { slots: 1 })
  t.throws(() => verifyNetwork(network.slot(0), { ...tiny.check, logits }), {
    code: 'MODEL_CHECK_FAILED',
    message: /^member 2, operation logits: check.logits/,
  })
})

t.test('ranges are checked', async t => {
  const { network, plan } = load(tiny, { slots: 1, maxRows: 2 })
  const slot = network.slot(0)
  const pixels = new Uint8Array(3 * plan.rowBytes)
  t.throws(() => network.slot(1), RangeError)
  t.throws(() => network.slot(-1), RangeError)
  t.throws(() => slot.classify(pixels, 0, 1), RangeError)
  t.throws(() => slot.classify(pixels, 3, 1), RangeError)
  t.throws(() => slot.classify(pixels, 1.5, 1), RangeError)
  t.throws(() => slot.classify(pixels, 1, 0), RangeError)
  t.throws(() => slot.classify(pixels, 1, 4), RangeError)
  t.throws(() => slot.classify(pixels.subarray(1), 3, 1), RangeError)
  t.throws(() => slot.classify(pixels.subarray(0, 2 * plan.rowBytes - 1), 2, 1), RangeError)
  t.throws(() => slot.trace(pixels, 1, 3), RangeError)
})
