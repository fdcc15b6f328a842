import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { createClient } from '../../src/client/client.ts'
import { clientOfApp, serve } from './helper.ts'

const pixels = {
  datatype: 'UINT8',
  shape: [2, 2, 2, 1],
  data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
} as const

test('rows of pixels go in, and all outputs come back as arrays', async t => {
  const { client, requests } = await clientOfApp(t)
  const answer = await client.infer(pixels, { model: 'shapes', members: 3 })
  t.same(answer, {
    model: 'shapes',
    version: 2,
    digest: 'd'.repeat(64),
    backend: 'wasm',
    outputs: {
      logits: {
        datatype: 'FP32',
        shape: [2, 3, 3],
        data: Float32Array.of(...[0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4], ...[0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]),
      },
      probabilities: {
        datatype: 'FP32',
        shape: [2, 3],
        data: Float32Array.of(0.1, 0.7, 0.2, 0.1, 0.7, 0.2),
      },
      label: { datatype: 'BYTES', shape: [2], data: ['square', 'square'] },
      uncertainty: {
        datatype: 'FP32',
        shape: [2, 3],
        data: Float32Array.of(0.75, 0.125, 1, 0.75, 0.125, 1),
      },
    },
  })
  t.same(
    requests[0]!.rows.map(({ bytes }) => [...bytes]),
    [
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ],
  )
})

test('only the outputs that are asked for come back, of the version that is asked', async t => {
  const { client, requests } = await clientOfApp(t)
  const { outputs } = await client.infer(pixels, {
    model: 'shapes',
    version: 2,
    outputs: ['label', { name: 'probabilities' }],
    deadline: 60_000,
  })
  t.same(Object.keys(outputs), ['label', 'probabilities'])
  t.same(outputs.label.data, ['square', 'square'])
  t.ok(requests[0]!.deadline)
  await t.rejects(client.infer(pixels, { model: 'shapes', version: 9 }), { code: 'VERSION_UNKNOWN' })
})

test('pixels may be bits', async t => {
  const { client, requests } = await clientOfApp(t)
  const input = {
    datatype: 'UINT8',
    shape: [2, 2, 2, 1],
    data: Uint8Array.of(0b0101, 0b1000),
    bitPacked: true,
  } as const
  await client.infer(input, { model: 'shapes', outputs: ['label'] })
  t.same(
    requests[0]!.rows.map(({ bytes }) => [...bytes]),
    [
      [255, 0, 255, 0],
      [0, 0, 0, 255],
    ],
  )
})

test('bits are asked for only of the outputs that are to have them', async t => {
  const { client } = await clientOfApp(t)
  const outputs = [{ name: 'logits', bitPacked: true }] as const
  await t.rejects(client.infer(pixels, { model: 'shapes', outputs }), {
    code: 'TENSOR_INVALID',
    title: 'TENSOR_INVALID',
    detail: 'The output "logits": bit_packed is for BOOL as binary data.',
  })
})

test('image files go in as they are', async t => {
  const { client, requests } = await clientOfApp(t)
  const digit = readFileSync(new URL('../fixtures/digit.png', import.meta.url))
  const { outputs } = await client.infer(
    { datatype: 'BYTES', data: [digit, Uint8Array.of(1, 2)] },
    { model: 'shapes', outputs: ['label'] },
  )
  t.same(outputs, { label: { datatype: 'BYTES', shape: [2], data: ['square', 'square'] } })
  t.same(
    requests[0]!.rows.map(row => [row.kind, Buffer.from(row.bytes).equals(digit)]),
    [
      ['file', true],
      ['file', false],
    ],
  )
})

const output = (datatype: string, bytes: number) =>
  JSON.stringify({
    model_name: 'm',
    model_version: '1',
    parameters: { digest: '', backend: '' },
    outputs: [{ name: 'x', datatype, shape: [1], parameters: { binary_data_size: bytes } }],
  })

test('a tensor of bytes stays one', async t => {
  const json = output('BOOL', 2)
  const url = await serve(t, (_request, response) => {
    response.setHeader('inference-header-content-length', json.length)
    response.end(Buffer.concat([Buffer.from(json), Uint8Array.of(1, 0)]))
  })
  const { outputs } = await createClient({ url }).infer(pixels, { model: 'm', outputs: ['x'] })
  t.same(outputs.x, { datatype: 'BOOL', shape: [1], data: Uint8Array.of(1, 0) })
})

const broken = {
  'no JSON': { head: '<html>', length: '6' },
  'no length of its JSON': { head: output('BOOL', 0), length: undefined },
  'fewer bytes than it says': { head: output('BOOL', 3), length: String(output('BOOL', 3).length) },
  'a number that is cut short': { head: output('FP32', 2), length: String(output('FP32', 2).length) },
  'a text that is cut short': { head: output('BYTES', 2), length: String(output('BYTES', 2).length) },
}
for (const [what, { head, length }] of Object.entries(broken)) {
  test(`an answer with ${what} is ANSWER_UNREADABLE`, async t => {
    const url = await serve(t, (_request, response) => {
      if (length !== undefined) response.setHeader('inference-header-content-length', length)
      response.end(Buffer.concat([Buffer.from(head), Uint8Array.of(1, 2)]))
    })
    await t.rejects(createClient({ url }).infer(pixels, { model: 'm' }), {
      code: 'ANSWER_UNREADABLE',
      status: 200,
    })
  })
}
