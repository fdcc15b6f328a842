import { test } from 'tap'
import { createKeyHooks } from '../../src/http/plugins/keys.ts'
import { listen, multipart, type TestOptions, testApp } from './helper.ts'

const key = 'predict-0123456789abcdef'
const adminKey = 'administrate-0123456789'
const image = multipart([{ filename: 'a.png', content: 'the bytes' }])

const keys = { keys: [key], adminKeysFile: [adminKey] }
const none = { keys: [], keysFile: [], adminKeys: [], adminKeysFile: [] }

type Teardown = Parameters<typeof testApp>[0]

/** The app, with a route for administrators alone. */
async function guardedApp(t: Teardown, config: NonNullable<TestOptions['config']>) {
  const { app, ...rest } = await testApp(t, { config })
  const { requireAdministrator } = createKeyHooks({ ...none, ...config }, async () => undefined)
  app.post('/administration', { onRequest: requireAdministrator }, async () => ({ done: true }))
  return { app, ...rest }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

test('with keys, what predicts or tells of models needs one', async t => {
  const { app, requests } = await testApp(t, { config: keys })
  for (const url of ['/models', '/models/shapes', '/v2', '/v2/models/shapes']) {
    const refused = await app.inject(url)
    t.equal(refused.statusCode, 401, url)
    t.equal(refused.json().code, 'KEY_MISSING')
    t.equal(refused.headers['www-authenticate'], 'Bearer realm="xnord"')
    t.equal((await app.inject({ url, headers: bearer(key) })).statusCode, 200, url)
  }
  t.equal((await app.inject({ ...image, url: '/predict' })).statusCode, 401)
  t.equal(requests.length, 0)
  const headers = { ...image.headers, ...bearer(key) }
  t.equal((await app.inject({ ...image, headers, url: '/predict' })).statusCode, 200)
})

test('with keys, health, metrics, the documentation and unknown addresses need none', async t => {
  const { app } = await testApp(t, { config: keys })
  for (const url of ['/v2/health/live', '/v2/health/ready', '/metrics', '/openapi.json', '/docs']) {
    t.equal((await app.inject(url)).statusCode, 200, url)
  }
  t.equal((await app.inject('/nothing')).statusCode, 404)
  t.equal((await app.inject('/v2/nothing')).statusCode, 404)
})

test('a key that is not known is KEY_INVALID, and says so to clients', async t => {
  const { app } = await testApp(t, { config: keys })
  for (const token of ['x', `${key}0`, key.slice(0, -1), key.toUpperCase()]) {
    const refused = await app.inject({ url: '/models', headers: bearer(token) })
    t.equal(refused.statusCode, 401)
    t.equal(refused.json().code, 'KEY_INVALID')
    t.equal(refused.headers['www-authenticate'], 'Bearer realm="xnord", error="invalid_token"')
    t.notOk(refused.body.includes(token) && token.length > 1, 'the answer does not repeat it')
  }
})

test('only the scheme Bearer carries a key, in whatever case', async t => {
  const { app } = await testApp(t, { config: keys })
  const status = async (authorization: string) =>
    (await app.inject({ url: '/models', headers: { authorization } })).statusCode
  t.equal(await status(`bearer ${key}`), 200)
  t.equal(await status(`BEARER   ${key} `), 200)
  for (const wrong of [key, `Basic ${key}`, `Bearer${key}`, `Bearer ${key} ${key}`, 'Bearer', '']) {
    t.equal(await status(wrong), 401, wrong)
  }
})

test('a key for administration predicts, too', async t => {
  const { app } = await testApp(t, { config: keys })
  t.equal((await app.inject({ url: '/models', headers: bearer(adminKey) })).statusCode, 200)
})

test('administration needs a key of its own', async t => {
  const { app } = await guardedApp(t, keys)
  const ask = async (headers: Record<string, string>) => {
    const answer = await app.inject({ method: 'POST', url: '/administration', headers })
    return `${answer.statusCode} ${answer.json().code ?? ''}`
  }
  t.equal(await ask(bearer(adminKey)), '200 ')
  t.equal(await ask(bearer(key)), '403 ADMINISTRATION_DENIED')
  t.equal(await ask(bearer('x')), '401 KEY_INVALID')
  t.equal(await ask({}), '401 KEY_MISSING')
})

test('without a key for administration nobody administrates', async t => {
  const { app } = await guardedApp(t, { keys: [key] })
  for (const headers of [bearer(key), bearer('x'), {}]) {
    const answer = await app.inject({ method: 'POST', url: '/administration', headers })
    t.equal(answer.statusCode, 403)
    t.equal(answer.json().code, 'ADMINISTRATION_OFF')
  }
})

test('with keys for administration alone, everybody predicts', async t => {
  const { app } = await guardedApp(t, { adminKeys: [adminKey] })
  t.equal((await app.inject({ ...image, url: '/predict' })).statusCode, 200)
  t.equal((await app.inject({ method: 'POST', url: '/administration' })).statusCode, 401)
})

test('a request without a key is refused before its body has come', async t => {
  const { app } = await testApp(t, { config: keys })
  const answer = await fetch(`http://127.0.0.1:${await listen(app)}/predict`, {
    method: 'POST',
    headers: { 'content-type': 'image/png' },
    body: new ReadableStream({
      start: stream => stream.enqueue(Buffer.from('the first bytes, and then nothing')),
    }),
    duplex: 'half',
  } as RequestInit)
  t.equal(answer.status, 401)
  await answer.body?.cancel()
})
