import t from 'tap'
import { type Model, parseModel, serializeModel } from '../../src/engine/format.ts'
import type { Conv2d } from '../../src/engine/graph.ts'
import { conv2d, fillSketch, linear, Random } from '../random-model.ts'
import { reparse, residualBytes, tinyBytes } from './load.ts'
import { assemble, dataOf, type Header, headerText, join, retensor, rewrite, withDigest } from './rewrite.ts'

const tiny = tinyBytes()
const residual = residualBytes()

/** A model that has all four operations and all three kinds of weights. */
const full = serializeModel(
  fillSketch(
    {
      input: { height: 6, width: 6, channels: 3, resize: 'cover' },
      members: 2,
      operations: [
        conv2d({
          name: 'stem',
          input: 'image',
          out: 9,
          kernel: 3,
          padding: 1,
          weights: 'ternary',
          output: 'floats',
        }),
        { op: 'sign', name: 's', input: 'stem' },
        conv2d({
          name: 'x',
          input: 's',
          out: 9,
          kernel: 3,
          padding: 1,
          weights: 'shift',
          shifts: [0, 2, 7],
          output: 'floats',
          add: 'stem',
        }),
        { op: 'average_pool', name: 'd', input: 'x', size: 3 },
        linear({ name: 'logits', input: 'd', out: 4, output: 'floats' }),
      ],
    },
    new Random(1),
  ),
)

t.test('a file is read to what it says', async t => {
  const model = parseModel(tiny)
  t.equal(model.name, 'tiny')
  t.equal(model.digest, /"digest":"([0-9a-f]{64})"/.exec(headerText(tiny))![1])
  t.strictSame(model.input, { height: 13, width: 11, channels: 3, resize: 'contain' })
  t.strictSame(model.labels, ['zero', 'one', 'two', 'café', 'four'])
  t.equal(model.members, 3)
  t.equal(model.defaultMembers, 2)
  t.strictSame(model.calibration, {
    temperature: [1, 0.75, 0.5],
    split: 'not calibrated: a random network',
    n: 0,
  })
  t.equal(model.baseline, null)
  t.equal(model.provenance.seed, 230701683)
  t.strictSame(model.operations.slice(0, 2), [
    conv2d({ name: 'conv1', input: 'image', out: 70, kernel: 3, padding: 1, pool: 2 }),
    conv2d({ name: 'conv2', input: 'conv1', out: 33, weights: 'ternary', kernel: 3, stride: 2, padding: 1 }),
  ])
  t.strictSame(model.tensors.get('conv1.sign')!.shape, [1, 1, 70, 4])
  t.strictSame(model.tensors.get('conv1.threshold')!.shape, [3, 70])
  t.notOk(model.tensors.has('check.image'))
  t.equal(model.check.rows, 11)
  t.equal(model.check.image.length, 11 * 13 * 11 * 3)
  t.equal(model.check.digest.length, 3 * 6 * 32)
  t.equal(model.check.logits.length, 3 * 11 * 5)
})

t.test('a residual network is read to what it says', async t => {
  const model = parseModel(residual)
  const conv = (name: string, input: string, out: number, attributes: Partial<Conv2d>) =>
    conv2d({ name, input, out, weights: 'ternary', output: 'floats', ...attributes })
  t.strictSame(model.operations, [
    conv('stem', 'image', 9, { kernel: 3, padding: 1 }),
    { op: 'sign', name: 's0.0', input: 'stem' },
    conv('x0.0', 's0.0', 9, { kernel: 3, padding: 1, add: 'stem' }),
    { op: 'sign', name: 's0.1', input: 'x0.0' },
    conv('x0.1', 's0.1', 9, { kernel: 3, padding: 1, add: 'x0.0', weights: 'binary' }),
    { op: 'average_pool', name: 'd1.0', input: 'x0.1', size: 2 },
    { op: 'sign', name: 'e1.0', input: 'd1.0' },
    conv('r1.0', 'e1.0', 18, { weights: 'binary' }),
    { op: 'sign', name: 's1.0', input: 'x0.1' },
    conv('x1.0', 's1.0', 18, { kernel: 3, stride: 2, padding: 1, add: 'r1.0' }),
    { op: 'sign', name: 's1.1', input: 'x1.0' },
    conv('x1.1', 's1.1', 18, { kernel: 3, padding: 1, add: 'x1.0' }),
    { op: 'average_pool', name: 'means', input: 'x1.1', size: 2 },
    linear({ name: 'logits', input: 'means', out: 4, output: 'floats' }),
  ])
  t.strictSame(model.tensors.get('s0.0.threshold')!.shape, [2, 9])
  t.strictSame(model.tensors.get('s0.1.threshold')!.shape, [1, 9])
})

/** What the digest does not depend on: order and spaces of the header are the writer's. */
function withoutDigest({ digest: _, tensors, ...rest }: Model): unknown {
  return { ...rest, tensors: [...tensors].sort(([a], [b]) => (a < b ? -1 : 1)) }
}

t.test('a model written and read again is the same', async t => {
  for (const bytes of [tiny, residual, full]) {
    const model = parseModel(bytes)
    const again = reparse(model)
    t.strictSame(withoutDigest(again), withoutDigest(model))
    t.equal(reparse(again).digest, again.digest)
  }
})

t.test('a file that does not begin on a four-byte boundary is read all the same', async t => {
  for (const shift of [1, 2, 3]) {
    const bytes = new Uint8Array(tiny.length + shift)
    bytes.set(tiny, shift)
    t.strictSame(withoutDigest(parseModel(bytes.subarray(shift))), withoutDigest(parseModel(tiny)))
  }
})

t.test('a file cut short anywhere is refused', async t => {
  for (const bytes of [tiny, full]) {
    for (let length = 0; length < bytes.length; length += 256) {
      t.throws(() => parseModel(bytes.subarray(0, length)), { name: 'XnordError' })
    }
    t.throws(() => parseModel(bytes.subarray(0, bytes.length - 1)), { code: 'MODEL_DIGEST_MISMATCH' })
  }
})

t.test('a byte too many is refused, whether the digest knows of it or not', async t => {
  const longer = new Uint8Array([...tiny, 0])
  t.throws(() => parseModel(longer), { code: 'MODEL_DIGEST_MISMATCH' })
  t.throws(() => parseModel(withDigest(longer)), { code: 'MODEL_TENSOR_INVALID', message: /the file has/ })
})

t.test('limits come before everything else', async t => {
  const length = (value: bigint) => {
    const bytes = Buffer.alloc(64)
    bytes.writeBigUInt64LE(value)
    return new Uint8Array(bytes)
  }
  t.throws(() => parseModel(length(2n ** 63n)), {
    code: 'MODEL_TOO_LARGE',
    message: /claims 9223372036854775808 bytes/,
  })
  t.throws(() => parseModel(length(2n ** 20n + 1n)), { code: 'MODEL_TOO_LARGE' })
  t.throws(() => parseModel(length(2n ** 20n)), { code: 'MODEL_HEADER_INVALID', message: /the file has 64/ })
  // Nothing of it is touched, so that the system never backs it with memory.
  t.throws(() => parseModel(new Uint8Array(2 ** 30 + 1)), {
    code: 'MODEL_TOO_LARGE',
    message: /1073741825 bytes/,
  })
})

t.test('the header is one object of UTF-8 with one digest', async t => {
  const data = dataOf(tiny)
  const refused = (header: string | Uint8Array, message: RegExp) =>
    t.throws(() => parseModel(assemble(header, data)), { code: 'MODEL_HEADER_INVALID', message })
  const text = headerText(tiny)
  const digest = `"digest":"${'0'.repeat(64)}"`
  refused('{}', /__metadata__.digest/)
  refused(text.replace('"digest":', '"digest" :'), /__metadata__.digest/)
  t.throws(() => parseModel(join(text.replace(/"digest":"[0-9a-f]{64}"/, '"digest":"abc"'), data)), {
    code: 'MODEL_HEADER_INVALID',
    message: /__metadata__.digest/,
  })
  refused(text.replace('{', `{"twice":{${digest}},`), /__metadata__.digest/)
  refused(`[{${digest}}]`, /does not begin with {/)
  refused(` ${text}`, /does not begin with {/)
  refused(`{${digest}`, /is not JSON/)
  refused(`{${digest},"__metadata__":[]}`, /__metadata__ is not an object/)
  refused(`{${digest},"__metadata__":{"xnord":1}}`, /__metadata__.xnord is not a string/)
  refused(Buffer.concat([Buffer.from(`{${digest},"`), Buffer.from([0xff]), Buffer.from('":1}')]), /UTF-8/)
  refused(text.replace('"dtype":"F32"', '"dtype":"F32","dtype":"F32"'), /key "dtype" twice/)
  refused(text.replace('{', '{"__proto__":{},'), /__proto__/)
})

t.test('metadata holds the description and the digest, nothing else', async t => {
  const refused = (change: (header: Header) => void, message: RegExp) =>
    t.throws(() => parseModel(rewrite(tiny, change)), { code: 'MODEL_HEADER_INVALID', message })
  refused(({ metadata }) => {
    metadata.author = 'x'
  }, /__metadata__.author is unknown/)
  refused(({ metadata }) => {
    delete metadata.xnord
  }, /__metadata__.xnord is missing/)
})

t.test('every wrong value of the description is named with its path', async t => {
  const cases: readonly [(xnord: Header['xnord']) => void, RegExp][] = [
    [x => delete x.format, /^xnord.format is missing/],
    [x => (x.format = 'xnord/2'), /^format is not one of "xnord\/1"/],
    [x => (x.extra = 1), /^xnord.extra is unknown/],
    [x => (x.name = 'Tiny'), /^name does not match/],
    [x => (x.name = `a${'b'.repeat(64)}`), /^name does not match/],
    [x => (x.name = '../a'), /^name does not match/],
    [x => (x.name = 1), /^name is not a string/],
    [x => (x.input = null), /^input is not an object/],
    [x => (x.input.height = 0), /^input.height is not an integer from 1 to 1024/],
    [x => (x.input.width = 1025), /^input.width/],
    [x => (x.input.width = '11'), /^input.width/],
    [x => (x.input.channels = 2), /^input.channels is not one of 1, 3/],
    [x => (x.input.resize = 'crop'), /^input.resize is not one of "stretch", "contain", "cover"/],
    [x => (x.input.depth = 1), /^input.depth is unknown/],
    [x => (x.labels = 'abcde'), /^labels is not a list of 5/],
    [x => x.labels.pop(), /^labels is not a list of 5/],
    [x => (x.labels[3] = 'zero'), /^labels\[3\] "zero" is there twice/],
    [x => (x.labels[3] = null), /^labels\[3\] is not a string/],
    [x => (x.labels[1] = '–'.repeat(86)), /^labels\[1\] has more than 256 bytes/],
    [x => (x.members = 0), /^members/],
    [x => (x.members = 65), /^members is not an integer from 1 to 64/],
    [x => (x.members = 2.5), /^members/],
    [x => (x.defaultMembers = 4), /^defaultMembers is not an integer from 1 to 3/],
    [x => x.calibration.temperature.push(1), /^calibration.temperature is not a list of 3/],
    [x => (x.calibration.temperature[1] = 0), /^calibration.temperature\[1\] is not a number above 0/],
    [x => (x.calibration.temperature[2] = null), /^calibration.temperature\[2\]/],
    [x => (x.calibration.split = 3), /^calibration.split is not a string/],
    [x => (x.calibration.n = -1), /^calibration.n/],
    [x => (x.baseline = {}), /^baseline.sha256 is missing/],
    [x => (x.baseline = { sha256: 'A'.repeat(64) }), /^baseline.sha256 is not 64 lower-case/],
    [x => (x.baseline = 'none'), /^baseline is not an object/],
    [x => (x.provenance = []), /^provenance is not an object/],
    [x => (x.graph = []), /^graph is not a list of 1 to 256/],
    [x => (x.graph = Array(257).fill(x.graph[0])), /^graph is not a list of 1 to 256/],
  ]
  for (const [change, message] of cases) {
    const file = rewrite(tiny, ({ xnord }) => void change(xnord))
    t.throws(() => parseModel(file), { code: 'MODEL_HEADER_INVALID', message })
  }
  const infinite = headerText(tiny).replace('[1.0,0.75,0.5]', '[1.0,1e999,0.5]')
  t.throws(() => parseModel(assemble(infinite, dataOf(tiny))), {
    code: 'MODEL_HEADER_INVALID',
    message: /^calibration.temperature\[1\]/,
  })
})

t.test('labels of 256 bytes, a baseline and any provenance are read', async t => {
  const sha256 = '0123456789abcdef'.repeat(4)
  const model = parseModel(
    rewrite(tiny, ({ xnord }) => {
      xnord.labels[0] = 'é'.repeat(128)
      xnord.baseline = { sha256 }
      xnord.provenance = { nested: [{ 'a "digest":"b': null }] }
    }),
  )
  t.equal(model.labels[0], 'é'.repeat(128))
  t.strictSame(model.baseline, { sha256 })
  t.strictSame(model.provenance, { nested: [{ 'a "digest":"b': null }] })
})

t.test('every wrong attribute of the graph is named with its path', async t => {
  const cases: readonly [Uint8Array, (graph: Header['xnord']) => void, RegExp][] = [
    [tiny, g => (g[1] = 'conv'), /^graph\[1\] is not an object/],
    [tiny, g => (g[1].op = 'conv3d'), /^graph\[1\].op is not one of "conv2d"/],
    [tiny, g => delete g[1].kernel, /^graph\[1\].kernel is missing/],
    [tiny, g => (g[1].dilation = 2), /^graph\[1\].dilation is unknown/],
    [tiny, g => (g[4].kernel = 2), /^graph\[4\].kernel is unknown/],
    [tiny, g => (g[1].kernel = 8), /^graph\[1\].kernel is not an integer from 1 to 7/],
    [tiny, g => (g[1].stride = 5), /^graph\[1\].stride/],
    [tiny, g => (g[1].stride = null), /^graph\[1\].stride/],
    [tiny, g => (g[1].padding = 3), /^graph\[1\].padding is not an integer from 0 to 2/],
    [tiny, g => (g[1].pool = 3), /^graph\[1\].pool is not one of 1, 2/],
    [tiny, g => (g[0].output = 'floats'), /^graph\[0\].pool goes with bits only/],
    [tiny, g => (g[1].output = 'ints'), /^graph\[1\].output/],
    [tiny, g => (g[1].out = 4097), /^graph\[1\].out is not an integer from 1 to 4096/],
    [tiny, g => (g[1].weights = 'float'), /^graph\[1\].weights/],
    [tiny, g => (g[1].shifts = [0]), /^graph\[1\].shifts goes with shift weights only/],
    [tiny, g => (g[1].add = 'conv1'), /^graph\[1\].add goes with floats only/],
    [tiny, g => (g[1].name = ''), /^graph\[1\].name is empty/],
    [tiny, g => (g[1].name = 'conv1'), /^graph\[1\].name "conv1" is taken/],
    [tiny, g => (g[1].name = 'image'), /^graph\[1\].name "image" is taken/],
    [tiny, g => (g[1].input = 'conv3'), /^graph\[1\].input "conv3" names no earlier value/],
    [tiny, g => (g[1].input = 'conv2'), /^graph\[1\].input/],
    [tiny, g => (g[1].input = '__proto__'), /^graph\[1\].input "__proto__" names no earlier value/],
    [tiny, g => (g[5].output = 'bits'), /^graph\[5\]: logits are floats/],
    [tiny, g => g.pop(), /^graph\[4\].name: the last operation is called logits/],
    [tiny, g => Object.assign(g[2], { kernel: 7 }), /^graph\[2\] leaves nothing of 3 × 3/],
    [full, g => (g[1].out = 9), /^graph\[1\].out is unknown/],
    [full, g => (g[1].input = 'image'), /^graph\[1\].input: sign does not take pixels/],
    [full, g => (g[2].input = 'stem'), /^graph\[2\].input: conv2d does not take floats/],
    [full, g => delete g[2].shifts, /^graph\[2\].shifts is not a list of 1 to 8/],
    [full, g => (g[2].shifts = [1, 2]), /^graph\[2\].shifts\[0\] is not an integer from 0 to 0/],
    [full, g => (g[2].shifts = [0, 2, 2]), /^graph\[2\].shifts\[2\] is not an integer from 3 to 7/],
    [full, g => (g[2].shifts = [0, 8]), /^graph\[2\].shifts\[1\]/],
    [full, g => (g[2].add = 's'), /^graph\[2\].add "s" is not floats of the output's shape/],
    [full, g => (g[2].add = 'x'), /^graph\[2\].add "x" names no earlier value/],
    [full, g => (g[2].stride = 2), /^graph\[2\].add "stem" is not floats/],
    [full, g => (g[3].input = 's'), /^graph\[3\].input: average_pool does not take bits/],
    [full, g => (g[3].size = 4), /^graph\[3\].size 4 does not divide 6 × 6/],
    [full, g => (g[3].size = 0), /^graph\[3\].size/],
    [full, g => (g[4].output = 'bits'), /^graph\[4\].output: sums of floats give floats/],
  ]
  for (const [bytes, change, message] of cases) {
    const file = rewrite(bytes, ({ xnord }) => void change(xnord.graph))
    t.throws(() => parseModel(file), { code: 'MODEL_GRAPH_INVALID', message })
  }
})

t.test('every wrong tensor entry is named', async t => {
  const cases: readonly [(tensors: Header['tensors']) => void, RegExp][] = [
    [e => (e['conv1.sign'] = 1), /^conv1.sign is not an object/],
    [e => delete e['conv1.sign'].shape, /^conv1.sign has the keys data_offsets,dtype/],
    [e => (e['conv1.sign'].dtype = 'I8'), /^conv1.sign has the dtype "I8"/],
    [e => (e['conv1.sign'].shape = [1, 1, 70, -4]), /^conv1.sign has a shape that is not/],
    [e => (e['conv1.sign'].shape = [1, 1, 70, 4.5]), /^conv1.sign has a shape that is not/],
    [e => (e['conv1.sign'].shape = Array(8).fill(2 ** 20)), /^conv1.sign is larger than a file may be/],
    [e => (e['conv1.sign'].shape = [2 ** 53]), /^conv1.sign has a shape that is not/],
    [e => (e['conv1.sign'].shape = [280, 2]), /^conv1.sign has the data_offsets/],
    [e => (e['conv1.sign'].data_offsets = [0]), /^conv1.sign has data_offsets that are not/],
    [e => e['conv1.sign'].data_offsets.reverse(), /^conv1.sign has the data_offsets/],
    [e => (e['conv1.sign'].data_offsets = [0, 280]), /overlaps the tensor before it/],
    [e => delete e['conv1.sign'], /^conv2.mask leaves a gap before it/],
  ]
  for (const [change, message] of cases) {
    const file = rewrite(tiny, ({ tensors }) => void change(tensors))
    t.throws(() => parseModel(file), { code: 'MODEL_TENSOR_INVALID', message })
  }
})

t.test('tensors of four-byte elements come first', async t => {
  const file = rewrite(
    tiny,
    ({ tensors }) => {
      for (const entry of Object.values(tensors)) {
        entry.data_offsets = entry.data_offsets.map((offset: number) => offset + 4)
      }
      tensors.early = { dtype: 'U8', shape: [4], data_offsets: [0, 4] }
    },
    new Uint8Array([0, 0, 0, 0, ...dataOf(tiny)]),
  )
  t.throws(() => parseModel(file), {
    code: 'MODEL_TENSOR_INVALID',
    message: /comes after a tensor of bytes/,
  })
})

t.test('there are exactly the tensors that the graph needs', async t => {
  const renamed = (from: string, to: string) =>
    rewrite(tiny, ({ tensors }) => {
      tensors[to] = tensors[from]
      delete tensors[from]
    })
  const refused = (file: Uint8Array, message: RegExp) =>
    t.throws(() => parseModel(file), { code: 'MODEL_TENSOR_INVALID', message })
  refused(renamed('conv1.sign', 'conv1.signs'), /^conv1.sign is missing/)
  refused(renamed('check.image', 'check.images'), /^check.image is missing/)
  const extra = (data: Uint8Array) =>
    rewrite(
      tiny,
      ({ tensors }) => {
        tensors['conv1.mask'] = { dtype: 'U8', shape: [data.length], data_offsets: [dataOf(tiny).length, 0] }
        tensors['conv1.mask'].data_offsets[1] = dataOf(tiny).length + data.length
      },
      new Uint8Array([...dataOf(tiny), ...data]),
    )
  refused(extra(new Uint8Array(280)), /^conv1.mask is unknown/)
})

t.test('every tensor has its type and shape', async t => {
  const refused = (change: (tensors: Header['tensors']) => void, message: RegExp) =>
    t.throws(() => parseModel(rewrite(tiny, ({ tensors }) => void change(tensors))), {
      code: 'MODEL_TENSOR_INVALID',
      message,
    })
  refused(e => (e['conv1.threshold'].dtype = 'F32'), /^conv1.threshold is F32, not I32/)
  refused(e => (e['logits.scale'].dtype = 'I32'), /^logits.scale is I32, not F32/)
  refused(
    e => (e['conv1.threshold'].shape = [70, 3]),
    /^conv1.threshold has the shape \[70, 3\], not \[3, 70\] or \[1, 70\]/,
  )
  refused(e => (e['conv1.sign'].shape = [70, 4]), /^conv1.sign has the shape/)
  refused(e => (e['check.logits'].shape = [11, 3, 5]), /^check.logits has the shape/)
  refused(e => (e['check.digest'].shape = [6, 3, 32]), /^check.digest has the shape/)
  refused(e => (e['check.image'].shape = [11, 11, 13, 3]), /^check.image has the shape/)
})

t.test('there are 8 to 64 check images', async t => {
  const content = parseModel(tiny)
  const cut = (rows: number) =>
    serializeModel({
      ...content,
      check: {
        rows,
        image: new Uint8Array(rows * 429),
        digest: content.check.digest,
        logits: new Float32Array(3 * rows * 5),
      },
    })
  t.equal(parseModel(cut(64)).check.rows, 64)
  t.throws(() => parseModel(cut(7)), { code: 'MODEL_TENSOR_INVALID', message: /^check.image has 7 images/ })
  t.throws(() => parseModel(cut(65)), { code: 'MODEL_TENSOR_INVALID', message: /^check.image has 65 images/ })
})

t.test('every value of a tensor keeps its rule', async t => {
  const int32 = (value: number) => (bytes: Uint8Array) =>
    Buffer.from(bytes.buffer, bytes.byteOffset).writeInt32LE(value, 8)
  const float32 = (value: number) => (bytes: Uint8Array) =>
    Buffer.from(bytes.buffer, bytes.byteOffset).writeFloatLE(value, 8)
  const byte = (index: number, value: number) => (bytes: Uint8Array) =>
    void bytes.fill(value, index, index + 1)
  const refused = (file: Uint8Array, name: string, change: (bytes: Uint8Array) => void, message: RegExp) =>
    t.throws(() => parseModel(retensor(file, name, change)), { code: 'MODEL_TENSOR_INVALID', message })
  refused(
    tiny,
    'conv1.threshold',
    int32(2 ** 30 + 1),
    /^conv1.threshold\[2\] 1073741825 is not within ±2\^30/,
  )
  refused(tiny, 'conv1.threshold', int32(-(2 ** 31)), /^conv1.threshold\[2\]/)
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 2 ** -65, -(2 ** 65)]) {
    refused(tiny, 'logits.scale', float32(value), /^logits.scale\[2\]/)
    refused(tiny, 'logits.bias', float32(value), /^logits.bias\[2\]/)
  }
  refused(full, 's.threshold', float32(Number.NaN), /^s.threshold\[2\] NaN is not finite/)
  // 3 · 3 · 3 = 27 taps take 4 bytes and leave 5 bits.
  refused(tiny, 'conv1.sign', byte(3, 0x08), /^conv1.sign\[3\] has a bit beyond the last of 27 taps/)
  refused(full, 'stem.mask', byte(7, 0x80), /^stem.mask\[7\] has a bit beyond/)
  // The second channel of ternary layers of the fixture is all zero; 70 · 9 = 630 taps take 79 bytes.
  refused(tiny, 'conv2.sign', byte(79, 0x01), /^conv2.sign\[79\] has a bit where the weight is masked/)
})

t.test('scales of 0 and of the limits are read', async t => {
  for (const value of [0, 2 ** -64, -(2 ** 64)]) {
    const file = retensor(tiny, 'logits.scale', bytes =>
      Buffer.from(bytes.buffer, bytes.byteOffset).writeFloatLE(value, 0),
    )
    t.equal(parseModel(file).tensors.get('logits.scale')!.data[0], value)
  }
})

t.test('planes of shift weights are disjoint', async t => {
  // 9 channels of ⌈81 / 8⌉ = 11 bytes a plane: the same byte of the first two planes.
  const file = retensor(full, 'x.mask', bytes => {
    bytes[0] |= 1
    bytes[99] |= 1
  })
  t.throws(() => parseModel(file), {
    code: 'MODEL_TENSOR_INVALID',
    message: /^x.mask\[99\] overlaps another plane/,
  })
})

t.test('values and work are limited', async t => {
  const tooLarge = (change: (xnord: Header['xnord']) => void, message: RegExp) =>
    t.throws(() => parseModel(rewrite(tiny, ({ xnord }) => void change(xnord))), {
      code: 'MODEL_TOO_LARGE',
      message,
    })
  tooLarge(x => {
    Object.assign(x.input, { height: 1024, width: 1024 })
  }, /^graph\[0\] gives more than 2\^24 elements/)
  tooLarge(x => {
    Object.assign(x.input, { height: 500, width: 500 })
    const conv = { op: 'conv2d', out: 64, weights: 'ternary', kernel: 7, padding: 3 }
    const names = ['image', 'a', 'b', 'c', 'd']
    const hidden = names.slice(1).map((name, index) => ({ ...conv, name, input: names[index] }))
    x.graph = [
      ...hidden,
      { name: 'logits', op: 'linear', input: 'd', out: 5, weights: 'binary', output: 'floats' },
    ]
  }, /2\^32 word operations/)
})

t.test('sums that float32 cannot hold are refused', async t => {
  const head = (side: number) =>
    rewrite(tiny, ({ xnord }) => {
      Object.assign(xnord.input, { height: side, width: side, channels: 1 })
      xnord.graph = [
        { name: 'logits', op: 'linear', input: 'image', out: 5, weights: 'ternary', output: 'floats' },
      ]
    })
  // 362² · 128 is within 2^24, 363² · 128 beyond.
  t.throws(() => parseModel(head(363)), {
    code: 'MODEL_GRAPH_INVALID',
    message: /^graph\[0\]: its sums may leave ±2\^24/,
  })
  t.throws(() => parseModel(head(362)), { code: 'MODEL_TENSOR_INVALID' })
})
