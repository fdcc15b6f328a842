import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Tensor } from '../../src/engine/format/safetensors.ts'
import { type Model, type ModelContent, parseModel } from '../../src/engine/format.ts'
import { Network, type NetworkSlot, verifyNetwork } from '../../src/engine/network.ts'
import { randomModel, tiledModel, wideModel } from '../random-graph.ts'
import { conv2d, fillSketch, linear, type ModelSketch, Random } from '../random-model.ts'
import { checkVectors, encode, forward, logitsOf } from '../reference.ts'
import { testedBackends } from './backends.ts'
import { load, reparse, residualBytes, tinyBytes } from './load.ts'

const tiny = parseModel(tinyBytes())
const residual = parseModel(residualBytes())

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

for (const model of [tiny, residual]) {
  t.test(`the reference reproduces NumPy's check vectors of ${model.name}`, async t => {
    const check = checkVectors(model, model.check.image)
    t.equal(hex(check.digest), hex(model.check.digest))
    t.equal(hex(check.logits), hex(model.check.logits))
  })
}

for (const backend of testedBackends) {
  for (const model of [tiny, residual]) {
    t.test(
      `${backend.name} reproduces NumPy's check vectors of ${model.name} in batches of any size`,
      async t => {
        for (const maxRows of [undefined, 1, 2, 3, 4, 5, 8, 11]) {
          const { network } = load(model, { slots: 1, maxRows }, backend)
          t.doesNotThrow(() => verifyNetwork(network.slot(0), model.check))
        }
      },
    )
  }

  t.test(`${backend.name} gives a row the same logits whatever its neighbours, place and slot`, async t => {
    const { network, plan } = load(tiny, { slots: 3, maxRows: 17 }, backend)
    const pixels = new Random(5).bytes(17 * plan.rowBytes)
    const together = network.slot(2).classify(pixels, 17, 3)
    for (let row = 0; row < 17; row++) {
      const alone = network.slot(0).classify(pixels.subarray(row * plan.rowBytes), 1, 3)
      t.equal(hex(alone), hex(together.subarray(row * 15, (row + 1) * 15)))
    }
  })

  t.test(`${backend.name} writes nothing outside its slot, nor over the pixels`, async t => {
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(fc.integer({ min: 0 }), seed => {
          const model = reparse(randomModel(seed))
          const { network, plan, arena } = load(model, { slots: 3, maxRows: 5 }, backend)
          const bytes = new Uint8Array(arena)
          const middle = plan.slotsAddress + plan.slotBytes
          bytes.fill(0xa5, plan.slotsAddress)
          const outside = () => hex(bytes.subarray(0, middle)) + hex(bytes.subarray(middle + plan.slotBytes))
          const before = outside()
          const random = new Random(seed + 1)
          const slot = network.slot(1)
          const pixels = random.bytes(5 * plan.rowBytes)
          slot.classify(pixels, 5, model.members)
          assert.ok(outside() === before)
          assert.equal(hex(slot.pixels), hex(pixels))
        }),
        { numRuns: 50 },
      ),
    )
  })
}

/**
 * Every operation's output and the logits of a model's every backend against the reference, on a slot full of what
 * an earlier batch may have left there.
 */
function compare(content: ModelContent, seed: number, rows: number): void {
  const model = reparse(content)
  const random = new Random(seed + 1)
  const member = random.integer(0, model.members - 1)
  const { height, width, channels } = model.input
  const pixels = random.bytes(rows * height * width * channels)
  const rest = random.choice([0, 0xa5, 0xff])
  const expected = referenceTrace(model, pixels, rows, member)
  // One arena does for all backends, since they share the layouts.
  const { plan, memory, arena } = load(model, { slots: 2, maxRows: Math.max(rows, 6) })
  for (const backend of testedBackends) {
    new Uint8Array(arena).fill(rest, plan.slotsAddress)
    const slot = new Network(plan, arena, backend.create(memory)).slot(random.integer(0, 1))
    for (const [index, output] of [...slot.trace(pixels, rows, member)].entries()) {
      const operation = JSON.stringify(model.operations[index])
      assert.ok(hex(output) === expected[index], `${backend.name}, seed ${seed}, ${rows} rows, ${operation}`)
    }
    const logits = slot.classify(pixels, rows, model.members)
    const ofMember = logits.filter((_, index) => Math.floor(index / plan.classes) % model.members === member)
    assert.equal(hex(ofMember), expected[expected.length - 1], `${backend.name}, seed ${seed}, ${rows} rows`)
  }
}

t.test("on random models every output of every backend is the reference's, whatever the batch", async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.integer({ min: 0 }), fc.integer({ min: 1, max: 6 }), (seed, rows) =>
        compare(randomModel(seed), seed, rows),
      ),
      { numRuns: 1000, endOnFailure: true },
    ),
  )
})

/** Sizes whose square has no reciprocal in float32: multiplying by one rounds otherwise than dividing. */
for (const size of [3, 5, 15]) {
  t.test(`means over ${size} × ${size} floats divide as the reference does`, async t => {
    for (const out of [17, 40]) {
      const random = new Random(size + out)
      const sketch: ModelSketch = {
        input: { height: 15, width: 15, channels: 1, resize: 'stretch' },
        operations: [
          conv2d({
            name: 'floats',
            input: 'image',
            out,
            weights: 'ternary',
            kernel: 3,
            padding: 1,
            output: 'floats',
          }),
          { op: 'average_pool', name: 'means', input: 'floats', size },
          linear({ name: 'logits', input: 'means', out: 3, output: 'floats' }),
        ],
        members: 1,
      }
      const content = fillSketch(sketch, random)
      t.doesNotThrow(() => compare(content, size + out, 3))
    }
  })
}

t.test('windows of every size on several words of bits give the sums of the reference', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.integer({ min: 0 }), fc.integer({ min: 1, max: 5 }), (seed, rows) =>
        compare(wideModel(seed), seed, rows),
      ),
      { numRuns: 300, endOnFailure: true },
    ),
  )
})

t.test('layers that fill the tiles of kernels give the outputs of the reference', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.integer({ min: 0 }), fc.integer({ min: 1, max: 3 }), (seed, rows) =>
        compare(tiledModel(seed), seed, rows),
      ),
      { numRuns: 40, endOnFailure: true },
    ),
  )
})

t.test('batches that fill a slot of seventeen rows give the outputs of the reference', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.integer({ min: 0 }), fc.integer({ min: 7, max: 17 }), (seed, rows) =>
        compare(randomModel(seed), seed, rows),
      ),
      { numRuns: 50, endOnFailure: true },
    ),
  )
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

t.test('weights that all members share lie in the arena once', async t => {
  const shared = (members: number) => {
    const one = randomModel(11)
    return load(reparse({ ...one, ...clones(one, members) }), { slots: 1 }).plan.parameterBytes
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
