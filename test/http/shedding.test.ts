import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { test } from 'tap'
import { shedOverload } from '../../src/http/plugins/shedding.ts'
import { fakeService, shapes } from './fake-service.ts'

interface Teardown {
  teardown(fn: () => void): void
}

const lines: object[] = []
const log = { info: (line: object) => void lines.push(line) }

interface Situation {
  /** Whether the main thread is. */
  readonly behind?: boolean
  /** Of the queue of the model that is asked for. */
  readonly secondsToRoom?: number
  readonly closing?: boolean
}

async function start(t: Teardown, { behind = false, secondsToRoom = 0, closing = false }: Situation = {}) {
  const handled: string[] = []
  const shed: (readonly [string | null, string])[] = []
  const ended: (readonly [string | null, number])[] = []
  const asked: (readonly [string | undefined, number | undefined])[] = []
  const { service } = fakeService()
  const handle: RequestListener = (request, response) => {
    handled.push(`${request.method} ${request.url}`)
    request.resume()
    response.end('handled')
  }
  const listener = shedOverload(handle, {
    maxLag: 5,
    service: {
      find(name, version) {
        asked.push([name, version])
        return service.find(name, version)
      },
      secondsToRoom: () => secondsToRoom,
    },
    metrics: { requestShed: (model, reason) => void shed.push([model?.name ?? null, reason]) },
    statistics: { requestEnded: ({ model }, status) => void ended.push([model?.name ?? null, status]) },
    unreadLimit: 60_000,
    closing: () => closing,
    log,
    watch: { isBehind: () => behind },
  })
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  t.teardown(() => server.closeAllConnections())
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port, handled, shed, ended, asked }
}

const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const post = { method: 'POST', body: 'pixels' }

test('while the main thread is behind, a request for predictions is refused before anything is made of it', async t => {
  const { url, handled, shed } = await start(t, { behind: true })
  for (const path of ['/predict', '/predict?members=1', '/compare']) {
    const response = await fetch(url + path, { ...post, headers: { traceparent } })
    t.equal(response.status, 503)
    t.equal(response.headers.get('content-type'), 'application/problem+json')
    t.equal(response.headers.get('retry-after'), '1')
    t.equal(response.headers.get('x-content-type-options'), 'nosniff')
    const id = response.headers.get('x-request-id')
    t.same(await response.json(), {
      type: 'urn:xnord:error:OVERLOADED',
      title: 'More arrives than can be read',
      status: 503,
      detail: 'The server is behind with what has arrived.',
      instance: `urn:uuid:${id}`,
      code: 'OVERLOADED',
    })
    t.same(lines.pop(), {
      id,
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      method: 'POST',
      route: path.split('?')[0],
      model: undefined,
      version: undefined,
      status: 503,
      code: 'OVERLOADED',
    })
  }
  t.strictSame(handled, [])
  t.strictSame(shed, new Array(3).fill([null, 'OVERLOADED']))
})

test('while the queue of its model is full, a request is refused before anything is made of it', async t => {
  const { url, handled, shed, ended } = await start(t, { secondsToRoom: 7 })
  const response = await fetch(`${url}/predict`, post)
  t.equal(response.status, 503)
  t.equal(response.headers.get('retry-after'), '7')
  t.match(await response.json(), { code: 'QUEUE_FULL', detail: "The model's queue is full." })
  t.match(lines.pop(), { route: '/predict', model: 'shapes', version: 2, code: 'QUEUE_FULL' })
  t.strictSame(handled, [])
  t.strictSame(shed, [['shapes', 'QUEUE_FULL']])
  t.strictSame(ended, [['shapes', 503]])
})

test('the queue that counts is that of the model and version that are asked for', async t => {
  const { url, asked } = await start(t)
  for (const path of [
    '/predict',
    '/predict?top=1&model=other',
    '/compare?version=2&model=shapes',
    '/predict?version=2',
    '/predict/?mod%65l=other',
    '/pr%65dict',
    '/v2/models/sh%61pes/infer/',
    '/v2/models/shapes/infer',
    '/v2/models/shapes/versions/3/infer?x=1',
  ]) {
    await fetch(url + path, post)
  }
  t.strictSame(asked, [
    [undefined, undefined],
    ['other', undefined],
    ['shapes', 2],
    [undefined, 2],
    ['other', undefined],
    [undefined, undefined],
    ['shapes', undefined],
    ['shapes', undefined],
    ['shapes', 3],
  ])
})

test('what asks for no model that there is goes on, to be told so', async t => {
  const { url, handled } = await start(t, { secondsToRoom: 7 })
  for (const path of [
    '/predict?model=other',
    '/predict?model=shapes&version=x',
    '/v2/models/a%2Fb/infer',
    '/pr%e',
  ]) {
    t.equal((await fetch(url + path, post)).status, 200)
  }
  t.equal(handled.length, 4)
})

test('inference is refused as its clients expect it, and the log names no address', async t => {
  const { url } = await start(t, { behind: true })
  for (const path of ['/v2/models/secret/infer', '/v2/models/secret/versions/3/infer']) {
    const response = await fetch(url + path, post)
    t.equal(response.status, 503)
    t.equal(response.headers.get('content-type'), 'application/json')
    t.same(await response.json(), {
      error: 'The server is behind with what has arrived.',
      code: 'OVERLOADED',
    })
    t.match(lines.pop(), { route: /^\/v2\/models\/:name\/(versions\/:version\/)?infer$/ })
  }
})

test('what is no request for predictions is answered as ever', async t => {
  const { url, handled } = await start(t, { behind: true, secondsToRoom: 7 })
  await fetch(`${url}/v2/health/live`)
  await fetch(`${url}/predict`)
  await fetch(`${url}/metrics`)
  await fetch(`${url}/v2/repository/index`, post)
  t.strictSame(handled, ['GET /v2/health/live', 'GET /predict', 'GET /metrics', 'POST /v2/repository/index'])
})

test('while the main thread keeps up and queues have room, nothing is refused', async t => {
  const { url, handled, shed } = await start(t)
  await fetch(`${url}/predict`, post)
  t.strictSame(handled, ['POST /predict'])
  t.strictSame(shed, [])
})

test('without a limit of the lag nobody watches it', t => {
  let handled = 0
  const listener = shedOverload(() => void handled++, {
    maxLag: 0,
    service: { find: () => shapes, secondsToRoom: () => 0 },
    metrics: { requestShed() {} },
    statistics: { requestEnded() {} },
    unreadLimit: 60_000,
    closing: () => false,
    log: null,
  })
  for (let request = 0; request < 1000; request++) {
    listener({ method: 'POST', url: '/predict' } as IncomingMessage, {} as ServerResponse)
  }
  t.equal(handled, 1000)
  t.end()
})

test('a refused request leaves its connection open, until the server closes', async t => {
  const refused = async (closing: boolean) => {
    const { port } = await start(t, { behind: true, closing })
    const socket = connect(port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    socket.write('POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc'.repeat(2))
    let text = ''
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      text += chunk.toString()
      if (text.split('HTTP/1.1 503').length === 3 && text.endsWith('}')) break
    }
    return text.split('HTTP/1.1 503').length - 1
  }
  t.equal(await refused(false), 2)
  t.equal(await refused(true), 1)
})

test('a body that is long in coming is read away after the refusal; while the server closes, its connection ends then', async t => {
  const kept = async (closing: boolean) => {
    const { port, shed } = await start(t, { behind: true, closing })
    const socket = connect(port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    socket.write('POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    t.match(answer.toString(), /^HTTP\/1.1 503 /)
    const closed = once(socket, 'close').then(() => 'closed')
    socket.resume()
    socket.write(Buffer.alloc(100_000))
    if (closing) return closed
    socket.write('POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n')
    await once(socket, 'data')
    return shed.length
  }
  t.equal(await kept(false), 2)
  t.equal(await kept(true), 'closed')
})
