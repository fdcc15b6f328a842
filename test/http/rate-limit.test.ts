import { type Test, test } from 'tap'
import { multipart, type TestOptions, testApp } from './helper.ts'

const first = 'predict-first-0123456789'
const second = 'predict-second-0123456789'
const administrator = 'administrate-0123456789'
const image = multipart([{ filename: 'a.png', content: 'the bytes' }])

/** Asks for the models, and returns the status. Time stands still but for `pass`. */
async function asking(t: Test, config: NonNullable<TestOptions['config']>) {
  let now = 1_000_000
  t.intercept(Date, 'now', { value: () => now })
  const pass = (milliseconds: number) => {
    now += milliseconds
  }
  const { app } = await testApp(t, { config })
  const ask = async (headers: Record<string, string> = {}, remoteAddress = '192.0.2.1') =>
    (await app.inject({ url: '/models', headers, remoteAddress })).statusCode
  return { app, ask, pass }
}

const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

test('what an address asks beyond the limit is RATE_LIMITED, and says when to ask again', async t => {
  const { app, ask } = await asking(t, { rateLimit: 2 })
  t.equal(await ask(), 200)
  t.equal(await ask(), 200)
  const refused = await app.inject({ ...image, url: '/predict', remoteAddress: '192.0.2.1' })
  t.equal(refused.statusCode, 429)
  t.equal(refused.json().code, 'RATE_LIMITED')
  t.equal(refused.headers['retry-after'], '1')
  t.equal(await ask({}, '192.0.2.2'), 200, 'other addresses have their own count')
})

test('after a second as much is taken again', async t => {
  const { ask, pass } = await asking(t, { rateLimit: 1 })
  t.equal(await ask(), 200)
  pass(999)
  t.equal(await ask(), 429)
  pass(1)
  t.equal(await ask(), 200)
})

test('below /v2 the same requests count, and the refusal is in its style', async t => {
  const { app, ask } = await asking(t, { rateLimit: 1 })
  t.equal(await ask(), 200)
  const refused = await app.inject({ url: '/v2', remoteAddress: '192.0.2.1' })
  t.equal(refused.statusCode, 429)
  t.match(refused.json(), { code: 'RATE_LIMITED', error: 'At most 1 requests a second are taken.' })
})

test('health and metrics are never limited', async t => {
  const { app, ask } = await asking(t, { rateLimit: 1 })
  t.equal(await ask(), 200)
  for (const url of ['/v2/health/live', '/v2/health/ready', '/metrics']) {
    t.equal((await app.inject({ url, remoteAddress: '192.0.2.1' })).statusCode, 200, url)
  }
})

test('with keys each has a count of its own, whatever the address', async t => {
  const { ask } = await asking(t, { rateLimit: 1, keys: [first, second] })
  t.equal(await ask(bearer(first), '192.0.2.1'), 200)
  t.equal(await ask(bearer(first), '192.0.2.2'), 429)
  t.equal(await ask(bearer(second), '192.0.2.1'), 200)
  t.equal(await ask({}, '192.0.2.1'), 401, 'what has no key is refused for that')
})

test('requests without a key, or with a wrong one, count by their address, and are RATE_LIMITED beyond', async t => {
  const { app, ask } = await asking(t, { rateLimit: 2, keys: [first] })
  t.equal(await ask(bearer('a-guess')), 401)
  t.equal(await ask(), 401)
  const refused = await app.inject({
    url: '/models',
    headers: bearer('another-guess'),
    remoteAddress: '192.0.2.1',
  })
  t.equal(refused.statusCode, 429)
  t.equal(refused.json().code, 'RATE_LIMITED')
  t.equal(refused.headers['retry-after'], '1')
  t.equal(refused.headers['www-authenticate'], undefined)
  t.equal(await ask(bearer('a-guess'), '192.0.2.2'), 401, 'other addresses have their own count')
})

test('whoever guesses keys takes nothing from a right one at the same address', async t => {
  const { ask, pass } = await asking(t, { rateLimit: 2, keys: [first] })
  for (let guess = 0; guess < 10; guess++) await ask(bearer(`guess-${guess}`))
  t.equal(await ask(bearer('a-guess')), 429)
  t.equal(await ask(bearer(first)), 200)
  t.equal(await ask(bearer(first)), 200)
  pass(1000)
  t.equal(await ask(bearer('a-guess')), 401, 'the next second has a count of its own')
})

test('guesses at keys for administration count by their address, each once, and the right key by itself', async t => {
  for (const keys of [[], [first]]) {
    const { app } = await asking(t, { rateLimit: 2, keys, adminKeys: [administrator] })
    const administrate = async (key: string) => {
      const url = '/v2/repository/models/shapes/load'
      const { statusCode } = await app.inject({ method: 'POST', url, headers: bearer(key) })
      return statusCode
    }
    t.equal(await administrate('a-guess'), 401)
    t.equal(await administrate('a-guess'), 401)
    t.equal(await administrate('a-guess'), 429)
    t.equal(await administrate(administrator), 200)
    t.equal(await administrate(administrator), 200)
    t.equal(await administrate(administrator), 429)
  }
})

test('a key for predictions that tries to administrate counts by itself', async t => {
  const { app, ask } = await asking(t, { rateLimit: 1, keys: [first], adminKeys: [administrator] })
  const administrate = () =>
    app.inject({ method: 'POST', url: '/v2/repository/models/shapes/load', headers: bearer(first) })
  t.equal((await administrate()).statusCode, 403)
  t.equal((await administrate()).statusCode, 429)
  t.equal(await ask({}, '127.0.0.1'), 401, 'and not by its address')
})

test('one network of IPv6 is one caller', async t => {
  const { ask } = await asking(t, { rateLimit: 1 })
  t.equal(await ask({}, '2001:db8::1'), 200)
  t.equal(await ask({}, '2001:db8::2'), 429)
  t.equal(await ask({}, '2001:db8:0:1::1'), 200)
})

test('the address behind a trusted proxy counts, and that which anybody else names does not', async t => {
  const { ask } = await asking(t, { rateLimit: 1, trustedProxies: ['10.0.0.0/8'] })
  t.equal(await ask({ 'x-forwarded-for': '192.0.2.1' }, '10.0.0.1'), 200)
  t.equal(await ask({ 'x-forwarded-for': '192.0.2.2' }, '10.0.0.1'), 200)
  t.equal(await ask({ 'x-forwarded-for': '192.0.2.1' }, '10.0.0.2'), 429)
  t.equal(await ask({ 'x-forwarded-for': '192.0.2.3' }, '192.0.2.9'), 200)
  t.equal(await ask({ 'x-forwarded-for': '192.0.2.4' }, '192.0.2.9'), 429)
})

test('without a limit there is none', async t => {
  const { ask } = await asking(t, {})
  for (let count = 0; count < 50; count++) t.equal(await ask(), 200)
})
