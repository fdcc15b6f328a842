import { test } from 'tap'
import { XnordError } from '../../src/errors.ts'
import { shapes, square } from './fake-service.ts'
import { metric, testApp } from './helper.ts'

const flat = { name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 1], data: [1, 2, 3, 255] }

/** A request to infer, for `inject`. */
function infer(payload: object, url = '/v2/models/shapes/infer') {
  return { method: 'POST' as const, url, payload }
}

test('/v2 describes the server', async t => {
  const { app } = await testApp(t)
  const answer = (await app.inject('/v2')).json()
  t.match(answer, { name: 'xnord', version: /^\d+\.\d+\.\d+/ })
  t.strictSame(answer.extensions, [
    'binary_tensor_data',
    'classification',
    'model_configuration',
    'statistics',
    'bit_packed_tensor_data',
  ])
})

test('/v2 offers the model repository where there are administrators', async t => {
  const { app } = await testApp(t, { config: { adminKeys: ['a-key-for-administration'] } })
  t.ok((await app.inject('/v2')).json().extensions.includes('model_repository'))
})

test('/v2/health/live answers while the process does', async t => {
  const { app } = await testApp(t, { state: { ready: false }, draining: () => true })
  const answer = await app.inject('/v2/health/live')
  t.equal(answer.statusCode, 200)
  t.strictSame(answer.json(), { live: true })
})

test('/v2/health/ready is 200 when the workers have verified the models', async t => {
  const { app } = await testApp(t)
  const answer = await app.inject('/v2/health/ready')
  t.equal(answer.statusCode, 200)
  t.strictSame(answer.json(), { ready: true })
})

test('/v2/health/ready is 503 until then', async t => {
  const { app } = await testApp(t, { state: { ready: false } })
  const answer = await app.inject('/v2/health/ready')
  t.equal(answer.statusCode, 503)
  t.equal(answer.headers['retry-after'], '1')
  t.match(answer.json(), { code: 'NOT_READY', error: /./ })
})

test('/v2/health/ready is 503 from the signal to end on, while predictions go on', async t => {
  const { app } = await testApp(t, { draining: () => true })
  const answer = await app.inject('/v2/health/ready')
  t.equal(answer.statusCode, 503)
  t.equal(answer.json().code, 'SHUTTING_DOWN')
  t.equal((await app.inject(infer({ inputs: [flat] }))).statusCode, 200)
})

test('/v2/models/{name} describes inputs and outputs, with and without a version', async t => {
  const { app } = await testApp(t, { models: [{ ...shapes, version: 1 }, shapes] })
  for (const url of ['/v2/models/shapes', '/v2/models/shapes/versions/1']) {
    t.strictSame((await app.inject(url)).json(), {
      name: 'shapes',
      versions: ['1', '2'],
      platform: 'xnord',
      inputs: [{ name: 'image', datatype: 'UINT8', shape: [-1, 2, 2, 1] }],
      outputs: [
        { name: 'logits', datatype: 'FP32', shape: [-1, -1, 3] },
        { name: 'probabilities', datatype: 'FP32', shape: [-1, 3] },
        { name: 'label', datatype: 'BYTES', shape: [-1] },
        { name: 'uncertainty', datatype: 'FP32', shape: [-1, 3] },
      ],
      layers: [
        { name: 'conv1', datatype: 'BOOL', shape: [-1, -1, 2, 1, 3] },
        { name: 'fc1', datatype: 'BOOL', shape: [-1, -1, 4] },
        { name: 'pool', datatype: 'FP32', shape: [-1, -1, 1, 2, 1] },
      ],
    })
  }
})

test('/v2/models/{name}/ready says whether this model answers', async t => {
  const { app } = await testApp(t)
  t.same((await app.inject('/v2/models/shapes/ready')).json(), { name: 'shapes', ready: true })
  t.equal((await app.inject('/v2/models/shapes/versions/2/ready')).statusCode, 200)
  t.equal((await app.inject('/v2/models/other/ready')).statusCode, 404)
  const { app: starting } = await testApp(t, { state: { ready: false } })
  t.equal((await starting.inject('/v2/models/shapes/ready')).statusCode, 503)
})

test('/v2/models/{name}/config says how many rows a batch takes, and describes tensors without them', async t => {
  const { app } = await testApp(t)
  for (const url of ['/v2/models/shapes/config', '/v2/models/shapes/versions/2/config']) {
    t.strictSame((await app.inject(url)).json(), {
      name: 'shapes',
      platform: 'xnord',
      backend: 'xnord',
      version_policy: { all: {} },
      max_batch_size: 64,
      input: [{ name: 'image', data_type: 'TYPE_UINT8', format: 'FORMAT_NHWC', dims: [2, 2, 1] }],
      output: [
        { name: 'logits', data_type: 'TYPE_FP32', dims: [-1, 3] },
        { name: 'probabilities', data_type: 'TYPE_FP32', dims: [3] },
        { name: 'label', data_type: 'TYPE_STRING', dims: [1], reshape: { shape: [] } },
        { name: 'uncertainty', data_type: 'TYPE_FP32', dims: [3] },
      ],
      dynamic_batching: {},
      model_transaction_policy: { decoupled: false },
    })
  }
  t.equal((await app.inject('/v2/models/other/config')).statusCode, 404)
})

test('infer answers all outputs, flat and in float32', async t => {
  const { app } = await testApp(t)
  const answer = await app.inject(infer({ id: 'my-1', inputs: [flat] }))
  t.equal(answer.statusCode, 200)
  t.strictSame(answer.json(), {
    model_name: 'shapes',
    model_version: '2',
    id: 'my-1',
    parameters: { digest: 'd'.repeat(64), backend: 'wasm' },
    outputs: [
      { name: 'logits', datatype: 'FP32', shape: [1, 2, 3], data: [0, 0.5, 1, 1.5, 2, 2.5] },
      {
        name: 'probabilities',
        datatype: 'FP32',
        shape: [1, 3],
        data: [0.10000000149011612, 0.699999988079071, 0.20000000298023224],
      },
      { name: 'label', datatype: 'BYTES', shape: [1], data: ['square'] },
      { name: 'uncertainty', datatype: 'FP32', shape: [1, 3], data: [0.75, 0.125, 1] },
    ],
  })
})

test('infer answers only the outputs that are asked for, in their order, for all rows', async t => {
  const { app } = await testApp(t)
  const answer = await app.inject(
    infer({
      parameters: { members: 1, unknown: 'ignored' },
      inputs: [{ ...flat, shape: [2, 2, 2, 1], data: [1, 2, 3, 4, 5, 6, 7, 8] }],
      outputs: [{ name: 'label' }, { name: 'logits', parameters: { binary_data: false } }],
    }),
  )
  t.strictSame(answer.json().outputs, [
    { name: 'label', datatype: 'BYTES', shape: [2], data: ['square', 'square'] },
    { name: 'logits', datatype: 'FP32', shape: [2, 1, 3], data: [0, 0.5, 1, 0, 0.5, 1] },
  ])
})

test('infer takes nested pixels, a version in the address, and any content type or none', async t => {
  const { app, requests } = await testApp(t)
  const payload = JSON.stringify({
    inputs: [
      {
        ...flat,
        data: [
          [
            [[1], [2]],
            [[3], [255]],
          ],
        ],
      },
    ],
  })
  for (const headers of [{ 'content-type': 'application/octet-stream' }, {}]) {
    const answer = await app.inject({
      method: 'POST',
      url: '/v2/models/shapes/versions/2/infer',
      headers,
      payload: Buffer.from(payload),
    })
    t.equal(answer.statusCode, 200)
  }
  t.same(requests[1]!.rows, [{ kind: 'pixels', bytes: Uint8Array.of(1, 2, 3, 255) }])
})

test('infer takes image files in base64', async t => {
  const { app, requests } = await testApp(t)
  const answer = await app.inject(
    infer({ inputs: [{ name: 'image', datatype: 'BYTES', shape: [2], data: ['AQID', '/w=='] }] }),
  )
  t.equal(answer.statusCode, 200)
  t.same(
    requests[0]!.rows.map(({ kind, bytes }) => [kind, ...bytes]),
    [
      ['file', 1, 2, 3],
      ['file', 255],
    ],
  )
})

test('a row that fails fails an inference request, by its own code and place', async t => {
  let row = 0
  const { app } = await testApp(t, {
    answer: (_row, request) =>
      row++ === 1 ? { ok: false, error: { code: 'IMAGE_MALFORMED', detail: 'Cut short.' } } : square(request),
  })
  const answer = await app.inject(
    infer({ inputs: [{ name: 'image', datatype: 'BYTES', shape: [2], data: ['AQID', '/w=='] }] }),
  )
  t.equal(answer.statusCode, 422)
  t.strictSame(answer.json(), { error: 'image[1]: Cut short.', code: 'IMAGE_MALFORMED' })
})

const bad: Readonly<Record<string, readonly [payload: unknown, status: number, code: string]>> = {
  'no body': [undefined, 400, 'TENSOR_INVALID'],
  'a body that is not JSON': ['{"inputs": [', 400, 'BODY_MALFORMED'],
  'a body that poisons prototypes': ['{"__proto__": {"inputs": 1}}', 400, 'BODY_MALFORMED'],
  'a body over the limit': [JSON.stringify({ id: 'x'.repeat(2000), inputs: [flat] }), 413, 'BODY_TOO_LARGE'],
  'a body nested 17 deep': [`${'['.repeat(17)}${']'.repeat(17)}`, 400, 'BODY_MALFORMED'],
  'a body of nothing but brackets': ['['.repeat(1000), 400, 'BODY_MALFORMED'],
  'no inputs': [{}, 400, 'TENSOR_INVALID'],
  'two inputs': [{ inputs: [flat, flat] }, 400, 'TENSOR_INVALID'],
  'an input of another name': [{ inputs: [{ ...flat, name: 'x' }] }, 400, 'TENSOR_INVALID'],
  'an unknown output': [{ inputs: [flat], outputs: [{ name: 'toString' }] }, 400, 'TENSOR_INVALID'],
  'the same output twice': [
    { inputs: [flat], outputs: [{ name: 'label' }, { name: 'label' }] },
    400,
    'TENSOR_INVALID',
  ],
  'members that are true': [{ inputs: [flat], parameters: { members: true } }, 400, 'TENSOR_INVALID'],
  'members as text': [{ inputs: [flat], parameters: { members: '2' } }, 400, 'TENSOR_INVALID'],
  'an id that is a number': [{ id: 5, inputs: [flat] }, 400, 'TENSOR_INVALID'],
  'a shape as text': [{ inputs: [{ ...flat, shape: ['1', 2, 2, 1] }] }, 400, 'TENSOR_INVALID'],
  'no members': [{ inputs: [flat], parameters: { members: 0 } }, 400, 'TENSOR_INVALID'],
}

test('bad inference requests are refused before serving is asked', async t => {
  const { app, requests } = await testApp(t, { config: { maxJsonBytes: 1000 } })
  for (const [name, [payload, status, code]] of Object.entries(bad)) {
    await t.test(`${name}: ${code}`, async t => {
      const answer = await app.inject({
        method: 'POST',
        url: '/v2/models/shapes/infer',
        ...(payload !== undefined && { payload: payload as object }),
      })
      t.equal(answer.statusCode, status)
      t.equal(answer.headers['content-type'], 'application/json')
      t.match(answer.json(), { code, error: /./ })
      t.equal(requests.length, 0)
    })
  }
})

test('infer refuses a body nested too deep before it is parsed, and says so', async t => {
  const { app } = await testApp(t)
  const answer = await app.inject({ ...infer({}), payload: '['.repeat(2 ** 20) })
  t.equal(answer.json().error, 'The JSON is nested more than 16 deep.')
})

test('infer looks for the model before it reads the body', async t => {
  const { app } = await testApp(t)
  const answer = await app.inject({ ...infer({}, '/v2/models/other/infer'), payload: '{"inputs": [' })
  t.equal(answer.statusCode, 404)
  t.equal(answer.json().code, 'MODEL_UNKNOWN')
})

test('infer says plainly that there is no body, whether one is announced or not', async t => {
  const { app } = await testApp(t)
  for (const headers of [{}, { 'content-type': 'application/json' }, { 'content-length': '0' }]) {
    const answer = await app.inject({ method: 'POST', url: '/v2/models/shapes/infer', headers })
    t.equal(answer.statusCode, 400)
    t.strictSame(answer.json(), {
      error: 'The request has no body; a JSON object with `inputs` is expected.',
      code: 'TENSOR_INVALID',
    })
  }
})

test('infer takes the same parameters where they ask for nothing', async t => {
  const { app } = await testApp(t)
  const answer = await app.inject(
    infer({
      parameters: { binary_data_output: false },
      inputs: [flat],
      outputs: [{ name: 'label', parameters: { binary_data: false, classification: 0 } }],
    }),
  )
  t.equal(answer.statusCode, 200)
})

test('infer refuses unknown models, unknown versions and versions that are no numbers', async t => {
  const { app } = await testApp(t)
  const codes: string[] = []
  for (const path of ['other', 'shapes/versions/9', 'shapes/versions/x', 'shapes/versions/02']) {
    codes.push((await app.inject(infer({ inputs: [flat] }, `/v2/models/${path}/infer`))).json().code)
  }
  t.same(codes, ['MODEL_UNKNOWN', 'VERSION_UNKNOWN', 'PARAMETER_INVALID', 'PARAMETER_INVALID'])
})

test("what serving refuses has the protocol's form of error, and Retry-After", async t => {
  const { app } = await testApp(t, {
    answer: () => {
      throw new XnordError('QUEUE_FULL', 'Full.', { retryAfter: 7 })
    },
  })
  const answer = await app.inject(infer({ inputs: [flat] }))
  t.equal(answer.statusCode, 503)
  t.equal(answer.headers['retry-after'], '7')
  t.strictSame(answer.json(), { error: 'Full.', code: 'QUEUE_FULL' })
})

test('an unknown address below /v2 has the form of error of the protocol', async t => {
  const { app } = await testApp(t)
  const answer = await app.inject('/v2/nothing')
  t.equal(answer.statusCode, 404)
  t.strictSame(answer.json(), { error: 'GET /v2/nothing', code: 'ROUTE_UNKNOWN' })
})

test('bytes of JSON are counted while they are held', async t => {
  let held: number | null = null
  const { app } = await testApp(t, {
    answer: async (_row, request) => {
      held = await metric(app, 'xnord_held_bytes')
      return square(request)
    },
  })
  const payload = JSON.stringify({ inputs: [flat] })
  await app.inject({ ...infer({}), payload })
  t.equal(held, payload.length)
  t.equal(await metric(app, 'xnord_held_bytes'), 0)
})
