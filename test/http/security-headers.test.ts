import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'tap'
import { listen, multipart, testApp } from './helper.ts'

const image = multipart([{ filename: 'a.png', content: 'the bytes' }])
const built = existsSync(new URL('../../dist/page/index.html', import.meta.url))

test('answers that are data let a browser load and run nothing', async t => {
  const { app } = await testApp(t, { config: { keys: ['predict-0123456789'] } })
  for (const request of [
    { url: '/models' },
    { url: '/metrics' },
    { url: '/openapi.json' },
    { url: '/nothing' },
    { url: '/models/%zz' },
    { url: '/v2/health/live' },
    { url: '/v2/nothing' },
    { ...image, url: '/predict' },
  ]) {
    const { headers } = await app.inject(request)
    t.match(headers['content-security-policy'], /^default-src 'none';.*frame-ancestors 'none'$/, request.url)
    t.equal(headers['x-content-type-options'], 'nosniff', request.url)
    t.equal(headers['referrer-policy'], 'no-referrer', request.url)
    t.equal(headers['cross-origin-resource-policy'], 'same-origin', request.url)
  }
})

test('so do answers to what is not HTTP', async t => {
  const { app } = await testApp(t)
  const socket = connect(await listen(app), '127.0.0.1')
  await once(socket, 'connect')
  socket.end('nonsense\r\n\r\n')
  t.match(await text(socket), /\r\ncontent-security-policy: default-src 'none';/)
})

for (const [url, skip] of [
  ['/', !built && 'the page is not built'],
  ['/docs/static/index.html', false],
] as const) {
  test(`the document ${url} may load and reach nothing but this server`, { skip }, async t => {
    const { app } = await testApp(t)
    const { headers } = await app.inject(url)
    const policy = String(headers['content-security-policy'])
    t.match(policy, /^default-src 'none';/)
    t.match(policy, /script-src 'self'(;|$)/)
    t.match(policy, /frame-ancestors 'none'/)
    t.notMatch(policy, /unsafe|https?:|upgrade-insecure-requests|\*/)
    t.equal(headers['strict-transport-security'], undefined)
    t.equal(headers['x-content-type-options'], 'nosniff')
    t.equal(headers['cross-origin-opener-policy'], 'same-origin')
  })
}
