import fc from 'fast-check'
import { test } from 'tap'
import { binaryRequest, readBinary } from './binary-tensors.ts'
import { square } from './fake-service.ts'
import { metric, testApp } from './helper.ts'

const pixels = Uint8Array.of(1, 2, 3, 255)
const image = {
  name: 'image',
  datatype: 'UINT8',
  shape: [1, 2, 2, 1],
  parameters: { binary_data_size: 4 },
}
/** The elements of a BYTES tensor. */
function texts(bytes: Uint8Array): readonly string[] {
  const found: string[] = []
  const buffer = Buffer.from(bytes)
  for (let at = 0; at < buffer.length; ) {
    const length = buffer.readUInt32LE(at)
    found.push(buffer.toString('utf8', at + 4, at + 4 + length))
    at += 4 + length
  }
  return found
}
const floats = (bytes: Uint8Array) => [...new Float32Array(new Uint8Array(bytes).buffer)]

test('pixels in binary are taken, with no content type at all', async t => {
  const { app, requests } = await testApp(t)
  const answer = await app.inject(binaryRequest({ inputs: [image] }, pixels))
  t.equal(answer.statusCode, 200)
  t.equal(answer.headers['content-type'], 'application/json')
  t.equal(answer.headers['inference-header-content-length'], undefined)
  t.match(answer.json().outputs[2], { name: 'label', data: ['square'] })
  t.same(requests[0]!.rows, [{ kind: 'pixels', bytes: Buffer.from(pixels) }])
})

test('files in binary are taken, several in one tensor', async t => {
  const { app, requests } = await testApp(t)
  const files = Buffer.from([2, 0, 0, 0, 65, 66, 1, 0, 0, 0, 67])
  const input = { name: 'image', datatype: 'BYTES', shape: [2], parameters: { binary_data_size: 11 } }
  const answer = await app.inject(binaryRequest({ inputs: [input] }, files))
  t.equal(answer.statusCode, 200)
  t.same(
    requests[0]!.rows.map(({ kind, bytes }) => [kind, ...bytes]),
    [
      ['file', 65, 66],
      ['file', 67],
    ],
  )
})

test('outputs in binary follow the JSON in their order, little-endian', async t => {
  const { app } = await testApp(t)
  const answer = await app.inject(
    binaryRequest({ id: 'x', inputs: [image], parameters: { binary_data_output: true } }, pixels),
  )
  t.equal(answer.headers['content-type'], 'application/octet-stream')
  const { head, tensors } = readBinary(answer)
  t.strictSame(head, {
    model_name: 'shapes',
    model_version: '2',
    id: 'x',
    parameters: { digest: 'd'.repeat(64), backend: 'wasm' },
    outputs: [
      { name: 'logits', datatype: 'FP32', shape: [1, 2, 3], parameters: { binary_data_size: 24 } },
      { name: 'probabilities', datatype: 'FP32', shape: [1, 3], parameters: { binary_data_size: 12 } },
      { name: 'label', datatype: 'BYTES', shape: [1], parameters: { binary_data_size: 10 } },
      { name: 'uncertainty', datatype: 'FP32', shape: [1, 3], parameters: { binary_data_size: 12 } },
    ],
  })
  t.same(floats(tensors.logits!), [0, 0.5, 1, 1.5, 2, 2.5])
  t.same(floats(tensors.probabilities!), [0.10000000149011612, 0.699999988079071, 0.20000000298023224])
  t.same([...tensors.label!], [6, 0, 0, 0, ...Buffer.from('square')])
  t.same(floats(tensors.uncertainty!), [0.75, 0.125, 1])
})

test("an output's own binary_data is stronger than binary_data_output", async t => {
  const { app } = await testApp(t)
  const answer = await app.inject(
    binaryRequest(
      {
        inputs: [image],
        parameters: { binary_data_output: true },
        outputs: [
          { name: 'label', parameters: { binary_data: false } },
          { name: 'uncertainty' },
          { name: 'logits', parameters: { binary_data: true } },
        ],
      },
      pixels,
    ),
  )
  const { head, tensors } = readBinary(answer)
  t.match(head.outputs, [{ name: 'label', data: ['square'] }, { name: 'uncertainty' }, { name: 'logits' }])
  t.same(Object.keys(tensors), ['uncertainty', 'logits'])
  t.same(floats(tensors.logits!), [0, 0.5, 1, 1.5, 2, 2.5])
})

test('outputs in binary can be had for an input in JSON, over all rows', async t => {
  const { app } = await testApp(t)
  const answer = await app.inject({
    method: 'POST',
    url: '/v2/models/shapes/infer',
    payload: {
      parameters: { members: 1 },
      inputs: [{ name: 'image', datatype: 'UINT8', shape: [2, 2, 2, 1], data: [1, 2, 3, 4, 5, 6, 7, 8] }],
      outputs: [{ name: 'logits', parameters: { binary_data: true } }],
    },
  })
  const { head, tensors } = readBinary(answer)
  t.match(head.outputs, [{ shape: [2, 1, 3], parameters: { binary_data_size: 24 } }])
  t.same(floats(tensors.logits!), [0, 0.5, 1, 0, 0.5, 1])
})

test('with a header length of 0 the body is rows of pixels, and the answer is in binary', async t => {
  const { app, requests } = await testApp(t)
  for (const rows of [1, 3]) {
    const answer = await app.inject(binaryRequest(null, Buffer.alloc(4 * rows, 7)))
    const { head, tensors } = readBinary(answer)
    t.match(head.outputs[0], { name: 'logits', shape: [rows, 2, 3] })
    t.equal(tensors.label!.length, rows * 10)
    t.equal(requests.at(-1)!.rows.length, rows)
  }
})

test('bits are taken as pixels of 0 and 255', async t => {
  const { app, requests } = await testApp(t)
  const parameters = { binary_data_size: 2, bit_packed: true }
  const input = { ...image, shape: [2, 2, 2, 1], parameters }
  const answer = await app.inject(binaryRequest({ inputs: [input] }, Uint8Array.of(0b0010, 0b1001)))
  t.equal(answer.statusCode, 200)
  t.same(
    requests[0]!.rows.map(({ bytes }) => [...bytes]),
    [
      [0, 255, 0, 0],
      [255, 0, 0, 255],
    ],
  )
})

test('classification gives the highest values in the place of an output', async t => {
  const { app } = await testApp(t, {
    answer: (_row, request) => {
      const answer = square(request)
      if (!answer.ok) return answer
      const prediction = { ...answer.prediction!, logits: Float32Array.of(1, 1, -2.5, 3, 0.5, 3) }
      return { ...answer, prediction }
    },
  })
  const answer = await app.inject({
    method: 'POST',
    url: '/v2/models/shapes/infer',
    payload: {
      inputs: [{ name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 1], data: [1, 2, 3, 4] }],
      outputs: [
        { name: 'logits', parameters: { classification: 2 } },
        { name: 'probabilities', parameters: { classification: 9, binary_data: true } },
      ],
    },
  })
  const { head, tensors } = readBinary(answer)
  t.strictSame(head.outputs, [
    {
      name: 'logits',
      datatype: 'BYTES',
      shape: [1, 2, 2],
      data: ['1:0:circle', '1:1:square', '3:0:circle', '3:2:star'],
    },
    { name: 'probabilities', datatype: 'BYTES', shape: [1, 3], parameters: { binary_data_size: 92 } },
  ])
  t.strictSame(texts(tensors.probabilities!), [
    '0.699999988079071:1:square',
    '0.20000000298023224:2:star',
    '0.10000000149011612:0:circle',
  ])
})

const bad: Readonly<Record<string, readonly [headers: object, head: object | null, RegExp]>> = {
  'a header length that is no number': [
    { 'inference-header-content-length': 'x' },
    { inputs: [image] },
    /number/,
  ],
  'a negative header length': [{ 'inference-header-content-length': '-1' }, { inputs: [image] }, /number/],
  'a header length beyond the body': [
    { 'inference-header-content-length': '9999' },
    { inputs: [image] },
    /9999/,
  ],
  'raw pixels that are no whole rows': [{ 'inference-header-content-length': '0' }, { x: 'y' }, /a row is/],
  'a classification of an output without classes': [
    {},
    { inputs: [image], outputs: [{ name: 'label', parameters: { classification: 1 } }] },
    /classification/,
  ],
  'a classification below 0': [
    {},
    { inputs: [image], outputs: [{ name: 'logits', parameters: { classification: -1 } }] },
    /classification/,
  ],
  'bits of an output of floats': [
    {},
    { inputs: [image], outputs: [{ name: 'logits', parameters: { bit_packed: true } }] },
    /bit_packed/,
  ],
  'an output in shared memory': [
    {},
    { inputs: [image], outputs: [{ name: 'logits', parameters: { shared_memory_region: 'x' } }] },
    /shared memory/,
  ],
  'a deadline of 0': [{}, { inputs: [image], parameters: { deadline: 0 } }, /deadline/],
  'a size as text': [
    {},
    { inputs: [{ ...image, parameters: { binary_data_size: '4' } }] },
    /binary_data_size/,
  ],
}

test('bad binary requests are refused before serving is asked, and say what is wrong', async t => {
  const { app, requests } = await testApp(t)
  for (const [name, [headers, head, message]] of Object.entries(bad)) {
    await t.test(name, async t => {
      const request = binaryRequest(head, pixels)
      const answer = await app.inject({ ...request, headers: { ...request.headers, ...headers } })
      t.equal(answer.statusCode, 400)
      t.match(answer.json(), { code: 'TENSOR_INVALID', error: message })
    })
  }
  t.equal(requests.length, 0)
})

test('the JSON of a binary request has a limit of its own', async t => {
  const { app } = await testApp(t, { config: { maxJsonBytes: 1000 } })
  const head = (length: number) => ({ id: 'x'.repeat(length), inputs: [image] })
  const large = await app.inject(binaryRequest(head(1000), pixels))
  t.equal(large.statusCode, 413)
  const rows = { ...image, shape: [500, 2, 2, 1], parameters: { binary_data_size: 2000 } }
  t.equal((await app.inject(binaryRequest({ inputs: [rows] }, Buffer.alloc(2000)))).statusCode, 200)
})

test('deadline in milliseconds and timeout in microseconds: the earlier one is asked of serving', async t => {
  const { app, requests } = await testApp(t)
  const deadlines: (number | undefined)[] = []
  for (const parameters of [
    {},
    { timeout: 0 },
    { deadline: 60_000 },
    { timeout: 60_000_000 },
    { deadline: 60_000, timeout: 30_000_000 },
  ]) {
    const before = performance.now()
    await app.inject(binaryRequest({ inputs: [image], parameters }, pixels))
    const { deadline } = requests.at(-1)!
    deadlines.push(deadline && Math.floor((deadline - before) / 10_000))
  }
  t.same(deadlines, [undefined, undefined, 6, 6, 3])
})

test('any bytes behind any head are answered, never with 500, and leave nothing held', async t => {
  const { app } = await testApp(t)
  const input = fc.record(
    {
      name: fc.constant('image'),
      datatype: fc.constantFrom('UINT8', 'BYTES'),
      shape: fc.oneof(fc.constant([1, 2, 2, 1]), fc.constant([1]), fc.array(fc.nat(4), { maxLength: 5 })),
      parameters: fc.record(
        { binary_data_size: fc.nat(20), bit_packed: fc.boolean() },
        { requiredKeys: [], noNullPrototype: true },
      ),
    },
    { noNullPrototype: true },
  )
  const output = fc.record(
    {
      name: fc.constantFrom('logits', 'label', 'conv9'),
      parameters: fc.record(
        { binary_data: fc.boolean(), classification: fc.nat(5), bit_packed: fc.boolean() },
        { requiredKeys: [], noNullPrototype: true },
      ),
    },
    { requiredKeys: ['name'], noNullPrototype: true },
  )
  const head = fc.record(
    { inputs: fc.array(input, { minLength: 1, maxLength: 1 }), outputs: fc.array(output, { maxLength: 3 }) },
    { requiredKeys: ['inputs'], noNullPrototype: true },
  )
  await t.resolves(
    fc.assert(
      fc.asyncProperty(
        fc.option(head),
        fc.uint8Array({ maxLength: 20 }),
        fc.option(fc.nat(300)),
        async (head, bytes, length) => {
          const request = binaryRequest(head, bytes)
          const headers =
            length === null ? request.headers : { 'inference-header-content-length': String(length) }
          const answer = await app.inject({ ...request, headers })
          return [200, 400].includes(answer.statusCode)
        },
      ),
      { numRuns: 300 },
    ),
  )
  t.equal(await metric(app, 'xnord_held_bytes'), 0)
})
