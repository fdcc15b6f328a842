import { test } from 'tap'
import { binaryRequest, readBinary } from './binary-tensors.ts'
import { square } from './fake-service.ts'
import { metric, testApp } from './helper.ts'

const pixels = Buffer.alloc(8)
const image = { name: 'image', datatype: 'UINT8', shape: [2, 2, 2, 1], parameters: { binary_data_size: 8 } }
const ask = (outputs: readonly object[], parameters: object = {}) =>
  binaryRequest({ inputs: [image], outputs, parameters: { members: 2, ...parameters } }, pixels)

/** By name, of one row and two members: 2 × 6 bits, 2 × 4 bits, and 2 × 2 floats. */
const layers: Readonly<Record<string, Uint8Array>> = {
  conv1: Uint8Array.of(0b01100101, 0b1010),
  fc1: Uint8Array.of(0b00011110),
  pool: new Uint8Array(Float32Array.of(1, -2.5, 0.25, 8).buffer),
}
const answering = {
  answer: (_row: unknown, request: Parameters<typeof square>[0] & { layers?: readonly string[] }) => ({
    ...square(request),
    layers: (request.layers ?? []).map(name => layers[name]!),
  }),
}
const bits = (text: string) => [...text].map(bit => bit === '1')
const conv1 = '101001100101'

test('metadata name the layers, with their shapes, but for those that an output hides', async t => {
  const { app } = await testApp(t)
  t.strictSame((await app.inject('/v2/models/shapes')).json().layers, [
    { name: 'conv1', datatype: 'BOOL', shape: [-1, -1, 2, 1, 3] },
    { name: 'fc1', datatype: 'BOOL', shape: [-1, -1, 4] },
    { name: 'pool', datatype: 'FP32', shape: [-1, -1, 1, 2, 1] },
  ])
})

test('layers are given as JSON where they are named, and only then asked of serving', async t => {
  const { app, requests } = await testApp(t, answering)
  const answer = await app.inject(ask([{ name: 'conv1' }, { name: 'label' }, { name: 'pool' }]))
  t.strictSame(answer.json().outputs, [
    { name: 'conv1', datatype: 'BOOL', shape: [2, 2, 2, 1, 3], data: bits(conv1 + conv1) },
    { name: 'label', datatype: 'BYTES', shape: [2], data: ['square', 'square'] },
    { name: 'pool', datatype: 'FP32', shape: [2, 2, 1, 2, 1], data: [1, -2.5, 0.25, 8, 1, -2.5, 0.25, 8] },
  ])
  await app.inject(ask([{ name: 'label' }]))
  await app.inject(ask([]))
  t.strictSame(
    requests.map(request => request.layers),
    [['conv1', 'pool'], [], []],
  )
})

test('layers in binary have a byte an element', async t => {
  const { app } = await testApp(t, answering)
  const answer = await app.inject(ask([{ name: 'pool' }, { name: 'fc1' }], { binary_data_output: true }))
  const { head, tensors } = readBinary(answer)
  t.match(head.outputs, [
    { name: 'pool', shape: [2, 2, 1, 2, 1], parameters: { binary_data_size: 32 } },
    { name: 'fc1', shape: [2, 2, 4], parameters: { binary_data_size: 16 } },
  ])
  t.strictSame([...tensors.fc1!], [0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0])
  t.equal(Buffer.compare(tensors.pool!, Buffer.concat([layers.pool!, layers.pool!])), 0)
})

test('packed layers have a bit an element, and each row begins at a byte', async t => {
  const { app } = await testApp(t, answering)
  const parameters = { binary_data: true, bit_packed: true }
  const answer = await app.inject(ask([{ name: 'conv1', parameters }]))
  const { head, tensors } = readBinary(answer)
  t.strictSame(head.outputs, [
    {
      name: 'conv1',
      datatype: 'BOOL',
      shape: [2, 2, 2, 1, 3],
      parameters: { binary_data_size: 4, bit_packed: true },
    },
  ])
  t.strictSame([...tensors.conv1!], [...layers.conv1!, ...layers.conv1!])
})

for (const [name, output, message] of [
  [
    'bits of a layer of floats',
    { name: 'pool', parameters: { binary_data: true, bit_packed: true } },
    /BOOL/,
  ],
  ['bits in JSON', { name: 'conv1', parameters: { bit_packed: true } }, /binary data/],
  ['classes of a layer', { name: 'conv1', parameters: { classification: 1 } }, /classification/],
  ['a layer that there is not', { name: 'conv9' }, /logits, .*uncertainty, conv1, fc1, pool/],
] as const) {
  test(`${name} are refused`, async t => {
    const { app, requests } = await testApp(t)
    const answer = await app.inject(ask([output]))
    t.equal(answer.statusCode, 400)
    t.match(answer.json(), { code: 'TENSOR_INVALID', error: message })
    t.equal(requests.length, 0)
  })
}

test('layers that no answer may hold are refused before they are computed', async t => {
  // 2 rows × 2 members × 6 bits are 24 elements: up to 144 bytes of JSON.
  const { app, requests } = await testApp(t, {
    ...answering,
    config: { maxJsonBytes: 1000, maxBodyBytes: 1000 },
  })
  const rows = (count: number, form: object) =>
    binaryRequest(
      {
        inputs: [{ ...image, shape: [count, 2, 2, 1], parameters: { binary_data_size: 4 * count } }],
        outputs: [{ name: 'conv1', parameters: form }],
        parameters: { members: 2 },
      },
      Buffer.alloc(4 * count),
    )
  const statuses: number[] = []
  for (const [count, form] of [
    [13, {}],
    [14, {}],
    [83, { binary_data: true }],
    [84, { binary_data: true }],
    [84, { binary_data: true, bit_packed: true }],
  ] as const) {
    const answer = await app.inject(rows(count, form))
    statuses.push(answer.statusCode)
    if (answer.statusCode === 400) t.match(answer.json(), { code: 'ANSWER_TOO_LARGE', error: /1000/ })
  }
  t.strictSame(statuses, [200, 400, 200, 400, 200])
  t.equal(requests.length, 3)
})

test('the bytes of layers are held until the answer has left, and refused where too many are', async t => {
  let held: number | null = null
  const { app } = await testApp(t, {
    answer: async (row, request) => {
      held = await metric(app, 'xnord_held_bytes')
      return answering.answer(row, request)
    },
  })
  const request = ask([{ name: 'conv1', parameters: { binary_data: true } }])
  await app.inject(request)
  // Those of the body, of 2 × 2 bytes of bits, and of 24 bytes made of them.
  t.equal(held, request.payload.length + 4 + 24)
  t.equal(await metric(app, 'xnord_held_bytes'), 0)

  const { app: full } = await testApp(t, {
    ...answering,
    config: { maxHeldBytes: request.payload.length + 20 },
  })
  const answer = await full.inject(request)
  t.equal(answer.statusCode, 503)
  t.equal(answer.json().code, 'UPLOADS_FULL')
  t.equal(await metric(full, 'xnord_refused_uploads_total'), 1)
})
