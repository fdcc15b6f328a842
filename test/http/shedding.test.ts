import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { test } from 'tap'
import { shedOverload } from '../../src/http/plugins/shedding.ts'

interface Teardown {
  teardown(fn: () => void): void
}

const lines: object[] = []
const log = { info: (line: object) => void lines.push(line) }

/** A server of which the main thread is behind, or is not. */
async function start(t: Teardown, { behind = true, closing = false } = {}) {
  const handled: string[] = []
  const counted = { shed: 0 }
  const handle: RequestListener = (request, response) => {
    handled.push(`${request.method} ${request.url}`)
    request.resume()
    response.end('handled')
  }
  const listener = shedOverload(handle, {
    maxLag: 5,
    metrics: { requestShed: () => void counted.shed++ },
    closing: () => closing,
    log,
    watch: { isBehind: () => behind },
  })
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  t.teardown(() => server.closeAllConnections())
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port, handled, counted }
}

const post = { method: 'POST', body: 'pixels' }

test('while the main thread is behind, a request for predictions is refused before anything is made of it', async t => {
  const { url, handled, counted } = await start(t)
  for (const path of ['/predict', '/predict?members=1', '/compare']) {
    const response = await fetch(url + path, post)
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
    t.strictSame(lines.pop(), {
      id,
      method: 'POST',
      route: path.split('?')[0],
      status: 503,
      code: 'OVERLOADED',
    })
  }
  t.strictSame(handled, [])
  t.equal(counted.shed, 3)
})

test('inference is refused as its clients expect it, and the log names no address', async t => {
  const { url } = await start(t)
  for (const path of ['/v2/models/secret/infer', '/v2/models/secret/versions/3/infer']) {
    const response = await fetch(url + path, post)
    t.equal(response.status, 503)
    t.equal(response.headers.get('content-type'), 'application/json')
    t.same(await response.json(), {
      error: 'The server is behind with what has arrived.',
      code: 'OVERLOADED',
    })
    t.match(lines.pop(), { route: '/v2/models/:name/infer' })
  }
})

test('what is no request for predictions is answered as ever', async t => {
  const { url, handled } = await start(t)
  await fetch(`${url}/v2/health/live`)
  await fetch(`${url}/predict`)
  await fetch(`${url}/metrics`)
  await fetch(`${url}/v2/repository/index`, post)
  t.strictSame(handled, ['GET /v2/health/live', 'GET /predict', 'GET /metrics', 'POST /v2/repository/index'])
})

test('while the main thread keeps up, and without a limit, nothing is refused', async t => {
  const { url, handled, counted } = await start(t, { behind: false })
  await fetch(`${url}/predict`, post)
  t.strictSame(handled, ['POST /predict'])
  t.equal(counted.shed, 0)
  const handle = () => {}
  const metrics = { requestShed() {} }
  t.equal(shedOverload(handle, { maxLag: 0, metrics, closing: () => false, log: null }), handle)
})

test('a refused request leaves its connection open, until the server closes', async t => {
  const refused = async (closing: boolean) => {
    const { port } = await start(t, { closing })
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
