import { test } from 'tap'
import { shapes } from './fake-service.ts'
import { testApp } from './helper.ts'

const version = {
  digest: 'd'.repeat(64),
  backend: 'wasm',
  input: { height: 2, width: 2, channels: 1, resize: 'stretch' },
  labels: ['circle', 'square', 'star'],
  members: 4,
  defaultMembers: 2,
  baseline: true,
  bytes: { model: 5000, baseline: 9000 },
  wordOperations: 1234,
  provenance: { accuracy: { test: 0.99, n: 100 } },
}

test('/models lists every model with its versions', async t => {
  const { app } = await testApp(t, {
    models: [{ ...shapes, name: 'letters' }, { ...shapes, version: 1 }, shapes],
  })
  t.strictSame((await app.inject('/models')).json(), {
    models: [
      { name: 'letters', versions: [{ version: 2, ...version }] },
      {
        name: 'shapes',
        versions: [
          { version: 1, ...version },
          { version: 2, ...version },
        ],
      },
    ],
  })
})

test('/models/{name} describes one model', async t => {
  const { app } = await testApp(t)
  t.strictSame((await app.inject('/models/shapes')).json(), {
    name: 'shapes',
    versions: [{ version: 2, ...version }],
  })
})

test('/models/{name} of a model that is not loaded is MODEL_UNKNOWN', async t => {
  const { app } = await testApp(t)
  for (const name of ['other', '..%2f..%2fetc', 'constructor', '%00']) {
    const answer = await app.inject(`/models/${name}`)
    t.equal(answer.statusCode, 404, name)
    t.equal(answer.json().code, 'MODEL_UNKNOWN')
  }
})

test('a name longer than any model can have is ROUTE_UNKNOWN', async t => {
  const { app } = await testApp(t)
  const answer = await app.inject(`/models/${'a'.repeat(1000)}`)
  t.equal(answer.statusCode, 404)
  t.equal(answer.json().code, 'ROUTE_UNKNOWN')
})
