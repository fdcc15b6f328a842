import { test } from 'tap'
import type { Prediction } from '../../src/client/client.ts'
import { shapes, square } from '../http/fake-service.ts'
import { clientOfApp } from './helper.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const digest = 'd'.repeat(64)

const classes = {
  label: 'square',
  index: 1,
  probability: 0.7,
  top: [
    { label: 'square', index: 1, probability: 0.7 },
    { label: 'star', index: 2, probability: 0.2 },
    { label: 'circle', index: 0, probability: 0.1 },
  ],
}
const uncertainty = { entropy: 0.75, mutualInformation: 0.125, agreement: 1, members: 2 }

test('files are classified under their names, in their order', async t => {
  const { client, requests } = await clientOfApp(t)
  const files = [new File(['first'], 'a.png'), new Blob(['second']), bytes('third')]
  const answer = await client.predict(files)
  t.same(answer, {
    model: 'shapes',
    version: 2,
    digest,
    backend: 'wasm',
    predictions: ['a.png', 'blob', 'blob'].map(name => ({ name, ...classes, uncertainty })),
  })
  t.same(
    requests[0]!.rows.map(row => [row.kind, Buffer.from(row.bytes).toString()]),
    [
      ['file', 'first'],
      ['file', 'second'],
      ['file', 'third'],
    ],
  )
})

test('one file needs no list', async t => {
  const { client, requests } = await clientOfApp(t)
  t.equal((await client.predict(new File(['it'], 'it.png'))).predictions[0]!.name, 'it.png')
  await client.predict(bytes('it'))
  t.same(
    requests.map(({ rows }) => Buffer.from(rows[0]!.bytes).toString()),
    ['it', 'it'],
  )
})

test('pixels are sent as they are, row after row', async t => {
  const { client, requests } = await clientOfApp(t)
  const { predictions } = await client.predict({ pixels: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) })
  t.equal(predictions.length, 2)
  t.same(
    requests[0]!.rows.map(row => [row.kind, ...row.bytes]),
    [
      ['pixels', 1, 2, 3, 4],
      ['pixels', 5, 6, 7, 8],
    ],
  )
})

test('options reach the server', async t => {
  const { client, requests } = await clientOfApp(t)
  const options = { model: 'shapes', version: 2, top: 1, members: 4, deadline: 60_000 }
  const { predictions } = await client.predict(bytes('it'), options)
  const prediction = predictions[0] as Prediction
  t.same(prediction.top, classes.top.slice(0, 1))
  t.equal(requests[0]!.members, 4)
  t.ok(requests[0]!.deadline)
  await t.rejects(client.predict(bytes('it'), { version: 3 }), { code: 'VERSION_UNKNOWN' })
})

test('the float twin is asked alone', async t => {
  const { client, requests } = await clientOfApp(t)
  const { network, predictions } = await client.predict(bytes('it'), { network: 'baseline', top: 1 })
  t.equal(network, 'baseline')
  t.same(predictions, [
    {
      name: 'blob',
      label: 'star',
      index: 2,
      probability: 0.5,
      top: [{ label: 'star', index: 2, probability: 0.5 }],
    },
  ])
  t.equal(requests[0]!.networks, 'baseline')
  await t.rejects(client.predict(bytes('it'), { network: 'baseline', members: 1 }), {
    code: 'PARAMETER_INVALID',
  })
})

test('both networks are compared', async t => {
  const { client } = await clientOfApp(t)
  const { predictions } = await client.compare(new File(['it'], 'it.png'))
  t.same(predictions, [
    {
      name: 'it.png',
      discrete: { ...classes, uncertainty, milliseconds: 0.125 },
      baseline: {
        label: 'star',
        index: 2,
        probability: 0.5,
        top: [
          { label: 'star', index: 2, probability: 0.5 },
          { label: 'circle', index: 0, probability: 0.25 },
          { label: 'square', index: 1, probability: 0.25 },
        ],
        milliseconds: 2,
      },
    },
  ])
})

test('a file that fails alone fails in its place', async t => {
  const { client } = await clientOfApp(t, {
    app: {
      answer: (row, request) =>
        row.bytes.length === 0
          ? { ok: false, error: { code: 'IMAGE_EMPTY', detail: 'No bytes.' } }
          : square(request),
    },
  })
  const { predictions } = await client.predict([new File([''], 'a.png'), new File(['it'], 'b.png')])
  t.same(predictions[0], {
    name: 'a.png',
    error: { code: 'IMAGE_EMPTY', title: 'The image is empty', detail: 'No bytes.' },
  })
  t.match(predictions[1], { name: 'b.png', label: 'square' })
  await t.rejects(client.predict([new Blob([]), new Blob([])]), {
    code: 'IMAGE_EMPTY',
    rows: [{ error: { detail: 'No bytes.' } }, { error: { detail: 'No bytes.' } }],
  })
})

test('no file at all is the server’s to refuse', async t => {
  const { client } = await clientOfApp(t)
  await t.rejects(client.predict([]), { code: 'FILE_MISSING', status: 400 })
})

test('models are listed and described', async t => {
  const { client } = await clientOfApp(t)
  const models = await client.models()
  t.equal(models.length, 1)
  t.same(await client.model('shapes'), models[0])
  t.same(models[0], {
    name: 'shapes',
    versions: [
      {
        version: 2,
        digest,
        backend: 'wasm',
        input: { height: 2, width: 2, channels: 1, resize: 'stretch' },
        labels: ['circle', 'square', 'star'],
        members: 4,
        defaultMembers: 2,
        baseline: true,
        bytes: { model: 5000, baseline: 9000 },
        wordOperations: 1234,
        provenance: { accuracy: { test: 0.99, n: 100 } },
      },
    ],
  })
  await t.rejects(client.model('a/b'), { code: 'MODEL_UNKNOWN', status: 404 })
})

test('a name that would lead to another address is refused', async t => {
  const { client } = await clientOfApp(t)
  for (const name of ['', '.', '..']) await t.rejects(client.model(name), RangeError, name)
})

test('a server is alive while its readiness is off', async t => {
  const { client } = await clientOfApp(t, { app: { draining: () => true } })
  t.equal(await client.live(), true)
  t.equal(await client.ready(), false)
})

test('a server is ready that takes requests, and one that cannot be reached is neither', async t => {
  const { client } = await clientOfApp(t)
  t.equal(await client.ready(), true)
  const gone = await clientOfApp(t, { url: 'http://127.0.0.1:9' })
  t.equal(await gone.client.live(), false)
  t.equal(await gone.client.ready(), false)
})

test('who asks after a server’s health can leave', async t => {
  const { client } = await clientOfApp(t)
  await t.rejects(client.ready({ signal: AbortSignal.abort(new Error('left')) }), { message: 'left' })
})

test('administrators list, load and unload models', async t => {
  const key = 'administrate-0123456789'
  const broken = { name: 'broken', version: 1, state: 'UNAVAILABLE', reason: 'MODEL_UNREADABLE: …' } as const
  const served = { name: 'shapes', version: 2, state: 'READY', reason: '' } as const
  const { client, changes } = await clientOfApp(t, {
    key,
    app: { config: { adminKeys: [key] }, index: [broken, served] },
  })
  t.same(await client.repository.index(), [
    { ...broken, version: '1' },
    { ...served, version: '2' },
  ])
  t.same(await client.repository.index({ ready: true }), [{ ...served, version: '2' }])
  await client.repository.load('broken')
  await client.repository.unload('shapes')
  t.same(changes, ['load broken', 'unload shapes'])
})

test('the key is sent along', async t => {
  const key = 'predict-0123456789abcdef'
  const config = { keys: [key] }
  const { client } = await clientOfApp(t, { key, app: { config } })
  t.equal((await client.models())[0]!.name, shapes.name)
  const other = await clientOfApp(t, { app: { config } })
  await t.rejects(other.client.models(), { code: 'KEY_MISSING', status: 401 })
})
