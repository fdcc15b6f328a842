import { gzipSync } from 'node:zlib'
import { test } from 'tap'
import type { RepositoryEntry } from '../../src/serving/types.ts'
import { testApp } from './helper.ts'

const entries: readonly RepositoryEntry[] = [
  { name: 'shapes', version: 1, state: 'UNAVAILABLE', reason: 'MODEL_DIGEST_MISMATCH: it differs' },
  { name: 'shapes', version: 2, state: 'READY', reason: '' },
]
const keys = { adminKeys: ['a-key-for-administration'], keys: ['a-key-for-predictions'] }
const administrator = { authorization: 'Bearer a-key-for-administration' }

const post = (url: string, payload?: unknown, headers: object = {}) => ({
  method: 'POST' as const,
  url,
  headers: { ...headers },
  ...(payload !== undefined && { payload: payload as object }),
})

test('the index lists every version, with its state and why', async t => {
  const { app } = await testApp(t, { index: entries })
  for (const payload of [undefined, '', '{}', { ready: false }, gzipSync('{}')]) {
    const headers = Buffer.isBuffer(payload) ? { 'content-encoding': 'gzip' } : {}
    const answer = await app.inject(post('/v2/repository/index', payload, headers))
    t.equal(answer.statusCode, 200)
    t.strictSame(answer.json(), [
      { name: 'shapes', version: '1', state: 'UNAVAILABLE', reason: 'MODEL_DIGEST_MISMATCH: it differs' },
      { name: 'shapes', version: '2', state: 'READY', reason: '' },
    ])
  }
})

test('the index lists only what answers, where that is asked for', async t => {
  const { app } = await testApp(t, { index: entries })
  const answer = await app.inject(post('/v2/repository/index', { ready: true }))
  t.strictSame(answer.json(), [{ name: 'shapes', version: '2', state: 'READY', reason: '' }])
})

test('a body that the repository cannot read is refused', async t => {
  const { app } = await testApp(t)
  for (const [payload, status, code] of [
    ['{"ready"', 400, 'BODY_MALFORMED'],
    ['[]', 400, 'BODY_MALFORMED'],
    [{ ready: 'yes' }, 400, 'BODY_MALFORMED'],
    [JSON.stringify({ more: 'x'.repeat(2 ** 16) }), 413, 'BODY_TOO_LARGE'],
  ] as const) {
    const answer = await app.inject(post('/v2/repository/index', payload))
    t.equal(answer.statusCode, status)
    t.equal(answer.headers['content-type'], 'application/json')
    t.match(answer.json(), { code, error: /./ })
  }
})

test('administrators load and unload models, with parameters that mean nothing or without', async t => {
  const { app, changes } = await testApp(t, { config: keys })
  for (const [change, payload] of [
    ['load', undefined],
    ['load', { parameters: { other: 'ignored' } }],
    ['unload', { parameters: { unload_dependents: true } }],
  ] as const) {
    const url = `/v2/repository/models/shapes/${change}`
    t.equal((await app.inject(post(url, payload, administrator))).statusCode, 200)
  }
  t.strictSame(changes, ['load shapes', 'load shapes', 'unload shapes'])
})

test('a load takes neither a configuration nor files: models come from their folder alone', async t => {
  const { app, changes } = await testApp(t, { config: keys })
  for (const name of ['config', 'file:1/model.safetensors']) {
    const payload = { parameters: { [name]: '{}' } }
    const answer = await app.inject(post('/v2/repository/models/shapes/load', payload, administrator))
    t.equal(answer.statusCode, 400)
    t.match(answer.json(), { code: 'PARAMETER_INVALID', error: new RegExp(name) })
  }
  t.strictSame(changes, [])
})

test('nobody loads or unloads without a key for administration', async t => {
  const { app: open, changes } = await testApp(t)
  const { app: guarded, changes: more } = await testApp(t, { config: keys })
  for (const change of ['load', 'unload']) {
    const url = `/v2/repository/models/shapes/${change}`
    t.equal((await open.inject(post(url))).json().code, 'ADMINISTRATION_OFF')
    t.equal((await guarded.inject(post(url))).statusCode, 401)
    const predictor = { authorization: 'Bearer a-key-for-predictions' }
    t.equal((await guarded.inject(post(url, undefined, predictor))).statusCode, 403)
  }
  t.strictSame([...changes, ...more], [])
})
