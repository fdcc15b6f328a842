import t from 'tap'
import { encodeOnnx, type OnnxGraph, onnxType } from '../../bench/onnx/encode.ts'
import { openBaseline } from '../../src/baseline/baseline.ts'
import type { InputSpec } from '../../src/engine/graph.ts'
import { XnordError } from '../../src/errors.ts'

const input: InputSpec = { height: 2, width: 3, channels: 3, resize: 'stretch' }
const spec = { input, classes: 2 }

/**
 * A linear network over the 18 planar inputs: logit 0 is the sum of the blue plane, logit 1 is input 1 (red, first row,
 * second column) and 0.5.
 */
const weights = Array.from({ length: 2 * 18 }, (_, i) => (i < 18 ? (i >= 12 ? 1 : 0) : i === 19 ? 1 : 0))
const linear: OnnxGraph = {
  nodes: [
    { op: 'Flatten', inputs: ['image'], outputs: ['flat'] },
    { op: 'Transpose', inputs: ['weight'], outputs: ['columns'] },
    { op: 'Gemm', inputs: ['flat', 'columns', 'bias'], outputs: ['logits'] },
  ],
  inputs: [{ name: 'image', shape: ['batch', 3, 2, 3] }],
  outputs: [{ name: 'logits', shape: ['batch', 2] }],
  tensors: [
    { name: 'weight', shape: [2, 18], values: weights },
    { name: 'bias', shape: [2], values: [0, 0.5] },
  ],
}

/** Row r: red and green are 128; blue is 128 + r, so that its plane sums to 6r; the second pixel's red is 100. */
function pixels(rows: number): Uint8Array {
  const bytes = new Uint8Array(rows * 18).fill(128)
  for (let row = 0; row < rows; row++) {
    for (let pixel = 0; pixel < 6; pixel++) bytes[row * 18 + pixel * 3 + 2] = 128 + (row % 100)
    bytes[row * 18 + 3] = 100
  }
  return bytes
}

async function refusal(onnx: Uint8Array): Promise<string> {
  try {
    await (await openBaseline(onnx, spec)).close()
    return 'none'
  } catch (thrown) {
    if (thrown instanceof XnordError && thrown.code === 'BASELINE_INVALID') return thrown.message
    throw thrown
  }
}

t.test('the runtime is not loaded before a baseline is opened', async t => {
  const loaded = () => process.report.getReport() as unknown as { sharedObjects: readonly string[] }
  t.notOk(loaded().sharedObjects.some(name => name.includes('onnxruntime')))
  const baseline = await openBaseline(encodeOnnx(linear), spec)
  t.ok(loaded().sharedObjects.some(name => name.includes('onnxruntime')))
  await baseline.close()
})

t.test('interleaved bytes reach the network as planes of p − 128', async t => {
  const baseline = await openBaseline(encodeOnnx(linear), spec)
  t.match(baseline, { rowBytes: 18, classes: 2 })
  t.same([...(await baseline.classify(pixels(3), 3, 1))], [0, -27.5, 6, -27.5, 12, -27.5])
  await baseline.close()
})

t.test('rows behind the asked ones are not read', async t => {
  const baseline = await openBaseline(encodeOnnx(linear), spec)
  t.same([...(await baseline.classify(pixels(5), 1, 1))], [0, -27.5])
  await baseline.close()
})

t.test('a batch longer than one slice is answered in order', async t => {
  const baseline = await openBaseline(encodeOnnx(linear), spec)
  const logits = await baseline.classify(pixels(150), 150, 1)
  t.equal(logits.length, 300)
  t.same(
    [0, 63, 64, 99, 149].map(row => logits[2 * row]),
    [0, 378, 384, 594, 294],
  )
  await baseline.close()
})

t.test('model and pixels may lie in shared memory', async t => {
  const onnx = encodeOnnx(linear)
  const sharedOnnx = new Uint8Array(new SharedArrayBuffer(onnx.length))
  sharedOnnx.set(onnx)
  const sharedPixels = new Uint8Array(new SharedArrayBuffer(36))
  sharedPixels.set(pixels(2))
  const baseline = await openBaseline(sharedOnnx, spec)
  t.same([...(await baseline.classify(sharedPixels, 2, 1))], [0, -27.5, 6, -27.5])
  await baseline.close()
})

t.test('calls at the same time are each answered', async t => {
  const baseline = await openBaseline(encodeOnnx(linear), spec)
  const answers = await Promise.all([1, 2, 3].map(rows => baseline.classify(pixels(rows), rows, 1)))
  t.same(
    answers.map(answer => answer.length),
    [2, 4, 6],
  )
  await baseline.close()
})

t.test('closing answers what was asked before, and nothing after', async t => {
  const baseline = await openBaseline(encodeOnnx(linear), spec)
  const asked = baseline.classify(pixels(1), 1, 1)
  await Promise.all([baseline.close(), baseline.close()])
  t.same([...(await asked)], [0, -27.5])
  await t.rejects(baseline.classify(pixels(1), 1, 1), { message: 'The baseline is closed.' })
})

t.test('bytes that are no ONNX file are refused, empty or cut short too', async t => {
  const whole = encodeOnnx(linear)
  for (const bytes of [new Uint8Array(0), Uint8Array.of(1, 2, 3), whole.subarray(0, whole.length - 20)]) {
    t.match(await refusal(bytes), /cannot be loaded/)
  }
})

t.test('other names are refused', async t => {
  const renamed = encodeOnnx({
    ...linear,
    nodes: [{ op: 'Flatten', inputs: ['picture'], outputs: ['flat'] }, ...linear.nodes.slice(1)],
    inputs: [{ name: 'picture', shape: ['batch', 3, 2, 3] }],
  })
  t.equal(await refusal(renamed), `The baseline's only input must be "image", not "picture".`)
  const twoOutputs = encodeOnnx({
    ...linear,
    outputs: [...linear.outputs, { name: 'flat', shape: ['batch', 18] }],
  })
  t.equal(await refusal(twoOutputs), `The baseline's only output must be "logits", not "logits, flat".`)
})

t.test('other shapes and types are refused', async t => {
  const withInput = (shape: readonly (number | string)[], type: number = onnxType.float) =>
    refusal(encodeOnnx({ ...linear, inputs: [{ name: 'image', shape, type }] }))
  t.match(await withInput(['batch', 3, 3, 2]), /must be float32 \[N, 3, 2, 3\], not float32 \[batch,3,3,2\]/)
  t.match(await withInput(['batch', 18]), /not float32 \[batch,18\]/)
  t.match(await withInput([1, 3, 2, 3]), /not float32 \[1,3,2,3\]/)
  const bytes = encodeOnnx({
    ...linear,
    nodes: [
      { op: 'Flatten', inputs: ['image'], outputs: ['flat'] },
      { op: 'Cast', inputs: ['flat'], outputs: ['floats'], attributes: { to: onnxType.float } },
      { op: 'Transpose', inputs: ['weight'], outputs: ['columns'] },
      { op: 'Gemm', inputs: ['floats', 'columns', 'bias'], outputs: ['logits'] },
    ],
    inputs: [{ name: 'image', shape: ['batch', 3, 2, 3], type: onnxType.uint8 }],
  })
  t.match(await refusal(bytes), /not uint8 \[batch,3,2,3\]/)
})

t.test('an output that is no tensor is refused', async t => {
  const sequence = encodeOnnx({
    ...linear,
    nodes: [
      ...linear.nodes.slice(0, 2),
      { op: 'Gemm', inputs: ['flat', 'columns', 'bias'], outputs: ['one'] },
      { op: 'SequenceConstruct', inputs: ['one'], outputs: ['logits'] },
    ],
    outputs: [{ name: 'logits', shape: ['batch', 2], sequence: true }],
  })
  t.match(await refusal(sequence), /"logits" must be float32 \[N, 2\], but it is not a tensor/)
})

t.test('another number of classes is refused', async t => {
  const three = await openBaseline(encodeOnnx(linear), { input, classes: 3 }).catch(
    (thrown: unknown) => thrown,
  )
  t.match(three, {
    code: 'BASELINE_INVALID',
    message: /"logits" must be float32 \[N, 3\], not float32 \[batch,2\]/,
  })
})

t.test('a shape that the file does not say is found out by the first answer', async t => {
  const unsaid = encodeOnnx({
    ...linear,
    nodes: [
      ...linear.nodes.slice(0, 2),
      { op: 'Gemm', inputs: ['flat', 'columns', 'bias'], outputs: ['all'] },
      { op: 'Equal', inputs: ['bias', 'bias'], outputs: ['chosen'] },
      { op: 'Compress', inputs: ['all', 'chosen'], outputs: ['logits'], attributes: { axis: 1 } },
    ],
    outputs: [{ name: 'logits', shape: ['batch', 'classes'] }],
  })
  const three = await openBaseline(unsaid, { input, classes: 3 }).catch((thrown: unknown) => thrown)
  t.match(three, { code: 'BASELINE_INVALID', message: /\[2,2\] for 2 rows and 3 classes/ })
})

t.test('logits that are not finite are refused, at opening or later', async t => {
  const nan = encodeOnnx({
    ...linear,
    tensors: [linear.tensors![0], { name: 'bias', shape: [2], values: [0, Number.NaN] }],
  })
  t.equal(await refusal(nan), 'The baseline gives logits that are not finite.')
  const logarithm = encodeOnnx({
    ...linear,
    nodes: [
      { op: 'Mul', inputs: ['image', 'image'], outputs: ['square'] },
      { op: 'Flatten', inputs: ['square'], outputs: ['flat'] },
      { op: 'Log', inputs: ['flat'], outputs: ['log'] },
      { op: 'Transpose', inputs: ['weight'], outputs: ['columns'] },
      { op: 'Gemm', inputs: ['log', 'columns', 'bias'], outputs: ['logits'] },
    ],
  })
  const baseline = await openBaseline(logarithm, spec)
  await t.rejects(baseline.classify(new Uint8Array(18).fill(128), 1, 1), { code: 'BASELINE_INVALID' })
  t.equal((await baseline.classify(new Uint8Array(18), 1, 1)).length, 2, 'the next call is answered')
  await baseline.close()
})

t.test('a network that cannot take two rows is refused', async t => {
  const threeRows = encodeOnnx({
    ...linear,
    nodes: [
      ...linear.nodes.slice(0, 2),
      { op: 'Gemm', inputs: ['flat', 'columns', 'bias'], outputs: ['rows'] },
      { op: 'Equal', inputs: ['flags', 'flags'], outputs: ['chosen'] },
      { op: 'Compress', inputs: ['three', 'chosen'], outputs: ['some'], attributes: { axis: 0 } },
      { op: 'Add', inputs: ['rows', 'some'], outputs: ['logits'] },
    ],
    tensors: [
      ...linear.tensors!,
      { name: 'three', shape: [3, 2], values: [0, 0, 0, 0, 0, 0] },
      { name: 'flags', shape: [3], values: [1, 1, 1] },
    ],
  })
  t.match(await refusal(threeRows), /cannot be run/)
})

t.test('weights outside the file are refused, even where the file that holds them is there', async t => {
  const weightsFile = Buffer.from(Float32Array.from(weights).buffer)
  const before = process.cwd()
  process.chdir(t.testdir({ 'weights.bin': weightsFile })) // where the runtime would look
  t.teardown(() => process.chdir(before))
  const external = encodeOnnx({
    ...linear,
    tensors: [{ name: 'weight', shape: [2, 18], values: [], location: 'weights.bin' }, linear.tensors![1]],
  })
  t.match(await refusal(external), /cannot be loaded/)
})
