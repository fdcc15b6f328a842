import { existsSync } from 'node:fs'
import Fastify from 'fastify'
import { test } from 'tap'
import { page } from '../../src/http/plugins/page.ts'
import { testApp } from './helper.ts'

const built = existsSync(new URL('../../dist/page/index.html', import.meta.url))

test('the page is served', { skip: !built && 'the page is not built' }, async t => {
  const { app } = await testApp(t)
  const answer = await app.inject('/')
  t.equal(answer.statusCode, 200)
  t.match(answer.headers['content-type'], /^text\/html/)
})

test("the page's files have their types, and are sent once", {
  skip: !built && 'the page is not built',
}, async t => {
  const { app } = await testApp(t)
  for (const [url, type] of [
    ['/index.html', 'text/html'],
    ['/style.css', 'text/css'],
    ['/page/main.js', 'application/javascript'],
    ['/icon.svg', 'image/svg+xml'],
  ] as const) {
    const first = await app.inject(url)
    t.equal(first.statusCode, 200, url)
    t.equal(first.headers['content-type']!.split(';')[0], type, url)
    const again = await app.inject({ url, headers: { 'if-none-match': first.headers.etag! } })
    t.equal(again.statusCode, 304, url)
    const head = await app.inject({ method: 'HEAD', url })
    t.equal(head.headers['content-length'], String(first.rawPayload.length), url)
  }
})

test('nothing outside the page is served', async t => {
  const { app } = await testApp(t)
  for (const url of [
    '/../package.json',
    '/%2e%2e/errors.js',
    '/..%2ferrors.js',
    '/page/main.js.map/../../package.json',
  ]) {
    t.equal((await app.inject(url)).statusCode, 404, url)
  }
})

test('a page that has not been built is an address that there is not', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(page, { root: `${t.testdir({})}/absent/` })
  t.equal((await app.inject('/')).statusCode, 404)
})
