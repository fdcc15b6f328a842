import { existsSync } from 'node:fs'
import { test } from 'tap'
import { testApp } from './helper.ts'

const built = existsSync(new URL('../../dist/page/index.html', import.meta.url))

test('the page is served', { skip: !built && 'the page is not built' }, async t => {
  const { app } = await testApp(t)
  const answer = await app.inject('/')
  t.equal(answer.statusCode, 200)
  t.match(answer.headers['content-type'], /^text\/html/)
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
