import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { test } from 'tap'
import { createClient, RequestError } from '../../src/client/client.ts'
import { XnordError } from '../../src/errors.ts'
import { clientOfApp, serve } from './helper.ts'

const image = new File(['it'], 'it.png')
const full = new XnordError('QUEUE_FULL', '9 rows wait.', { retryAfter: 7 })

test('an error of the server tells all that the server tells', async t => {
  const { client } = await clientOfApp(t, {
    app: {
      answer() {
        throw full
      },
    },
  })
  const error = await client.predict(image).catch(error => error)
  t.ok(error instanceof RequestError)
  t.match(error, {
    name: 'RequestError',
    message: 'The queue is full: 9 rows wait.',
    code: 'QUEUE_FULL',
    status: 503,
    title: 'The queue is full',
    detail: '9 rows wait.',
    retryAfter: 7,
    requestId: /^[\da-f-]{32,36}$/,
    rows: [],
  })
})

/** Answers 503, to be asked again at once, so often, and then as told. */
function busy(times: number, headers: Readonly<Record<string, string>>, then: RequestListener) {
  const asked: number[] = []
  const listener: RequestListener = (request, response) => {
    asked.push(Date.now())
    if (asked.length > times) return then(request, response)
    response.writeHead(503, headers).end('{"code":"QUEUE_FULL","title":"The queue is full","detail":"…"}')
  }
  return { listener, asked }
}

const models: RequestListener = (_request, response) => void response.end('{"models":[]}')
const atOnce = { 'retry-after': '0' }

test('a busy server is asked again as often as is wanted', async t => {
  const { listener, asked } = busy(2, atOnce, models)
  const url = await serve(t, listener)
  t.same(await createClient({ url, retries: 2 }).models(), [])
  t.equal(asked.length, 3)
})

test('a server that stays busy is asked no more than so often', async t => {
  const { listener, asked } = busy(9, atOnce, models)
  const url = await serve(t, listener)
  await t.rejects(createClient({ url, retries: 2 }).models(), { code: 'QUEUE_FULL', retryAfter: 0 })
  t.equal(asked.length, 3)
})

test('unless it is wanted, and without a time, nothing is asked again', async t => {
  for (const { retries, headers } of [
    { retries: 0, headers: atOnce },
    { retries: 2, headers: {} },
    { retries: 2, headers: { 'retry-after': 'Tue, 24 Nov 2026 00:00:00 GMT' } },
    { retries: 2, headers: { 'retry-after': '99999999999' } },
  ]) {
    const { listener, asked } = busy(9, headers, models)
    const client = createClient({ url: await serve(t, listener), retries })
    await t.rejects(client.models(), { code: 'QUEUE_FULL' })
    t.equal(asked.length, 1)
  }
})

test('nobody waits to ask again longer than the time limit, and is told why', async t => {
  const { listener, asked } = busy(9, { 'retry-after': '999' }, models)
  const url = await serve(t, listener)
  await t.rejects(createClient({ url, retries: 2, timeout: 2000 }).models(), {
    code: 'QUEUE_FULL',
    retryAfter: 999,
  })
  t.equal(asked.length, 1)
})

test('who is waiting to ask again can leave', async t => {
  const leaving = new AbortController()
  const url = await serve(t, (_request, response) => {
    response.writeHead(503, { 'retry-after': '999' }).end('{"code":"QUEUE_FULL"}')
    response.once('close', () => setTimeout(() => leaving.abort(new Error('left')), 20))
  })
  const { signal } = leaving
  await t.rejects(createClient({ url, retries: 1 }).models({ signal }), { message: 'left' })
})

test('health is asked once', async t => {
  const { listener, asked } = busy(9, atOnce, models)
  const url = await serve(t, listener)
  t.equal(await createClient({ url, retries: 2 }).ready(), false)
  t.equal(asked.length, 1)
})

test('an answer that does not come in time is TIMEOUT', async t => {
  const url = await serve(t, () => {})
  await t.rejects(createClient({ url, timeout: 50 }).models(), {
    code: 'TIMEOUT',
    status: null,
    detail: 'It took longer than 50 milliseconds.',
  })
})

test('a call that is given up rejects with the reason, and the server sees the client leave', async t => {
  let closed: Promise<unknown> | undefined
  const leaving = new AbortController()
  const url = await serve(t, request => {
    closed = once(request.socket, 'close')
    leaving.abort(new Error('left'))
  })
  const { signal } = leaving
  await t.rejects(createClient({ url }).predict(image, { signal }), { message: 'left' })
  await closed
})

test('a call that has been given up before is not sent', async t => {
  let asked = 0
  const url = await serve(t, () => void asked++)
  await t.rejects(createClient({ url }).models({ signal: AbortSignal.abort(new Error('left')) }), {
    message: 'left',
  })
  t.equal(asked, 0)
})

test('a server that is not there is UNREACHABLE, and so is one that goes in the middle', async t => {
  await t.rejects(createClient({ url: 'http://127.0.0.1:9' }).models(), {
    code: 'UNREACHABLE',
    status: null,
    title: 'The server cannot be reached',
    cause: { message: 'fetch failed' },
  })
  const url = await serve(t, (request, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('{"models":')
    setTimeout(() => request.socket.destroy(), 20)
  })
  await t.rejects(createClient({ url }).models(), { code: 'UNREACHABLE' })
})

test('what something else answers is not taken for the server’s', async t => {
  for (const { status, body } of [
    { status: 200, body: '<h1>Welcome</h1>' },
    { status: 502, body: '<h1>Bad gateway</h1>' },
    { status: 404, body: '{"message":"no such thing"}' },
    { status: 404, body: 'null' },
  ]) {
    const url = await serve(t, (_request, response) => {
      response.writeHead(status, { 'x-request-id': 'of-a-proxy' }).end(body)
    })
    await t.rejects(
      createClient({ url }).models(),
      { code: 'ANSWER_UNREADABLE', status, requestId: 'of-a-proxy' },
      body,
    )
  }
})

test('an address may have a path, with or without a slash, and what follows it is left out', async t => {
  const asked: string[] = []
  const url = await serve(t, (request, response) => {
    asked.push(request.url!)
    models(request, response)
  })
  for (const path of ['', '/', '/a/b', '/a/b/', '/a/?c#d']) await createClient({ url: url + path }).models()
  await createClient({ url: new URL('/a', url) }).models()
  t.same(asked, ['/models', '/models', '/a/b/models', '/a/b/models', '/a/models', '/a/models'])
})

test('an address or a key that cannot be one is a TypeError at once', t => {
  t.throws(() => createClient({ url: 'localhost:8080' }), TypeError)
  t.throws(() => createClient({ url: 'nowhere' }), TypeError)
  t.throws(() => createClient({ url: 'http://localhost', key: 'a\nb' }), TypeError)
  t.end()
})

test('a fetch of one’s own is used', async t => {
  const asked: string[] = []
  const client = createClient({
    url: 'http://xnord.example',
    fetch: async input => {
      asked.push(String(input))
      return new Response('{"models":[]}')
    },
  })
  t.same(await client.models(), [])
  t.same(asked, ['http://xnord.example/models'])
})
