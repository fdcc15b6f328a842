import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { pino } from 'pino'
import { type Test, test } from 'tap'
import { startTracing, type Tracing } from '../../src/http/tracing.ts'
import { multipart, type TestOptions, testApp } from './helper.ts'

const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
const parent = '00f067aa0ba902b7'
const image = multipart([{ filename: 'a.png', content: 'the bytes' }])
const quiet = pino({ level: 'silent' })

interface Post {
  readonly url: string
  readonly type: string
  readonly body: Buffer
}

/** Stands in for a collector: keeps what is posted to it. The libraries read its address from the environment. */
async function collector(t: Test, status = 200): Promise<readonly Post[]> {
  const posts: Post[] = []
  const server = createServer(async (request: IncomingMessage, response) => {
    const type = String(request.headers['content-type'])
    posts.push({ url: request.url!, type, body: await buffer(request) })
    response.writeHead(status).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  t.intercept(process, 'env', {
    value: { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` },
  })
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return posts
}

/** The app with tracing on, and the lines of its log. */
async function traced(t: Test, options: TestOptions = {}) {
  const lines: string[] = []
  const log = pino({}, { write: line => void lines.push(line) })
  const tracing = (await startTracing(process.env, log)) as Tracing
  const { app } = await testApp(t, { ...options, log, tracing })
  return { app, tracing, lines }
}

test('without its variables nothing of OpenTelemetry is loaded', async t => {
  const load = () => Promise.reject(new Error('it was loaded'))
  for (const environment of [
    {},
    { OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' },
    { OTEL_SDK_DISABLED: 'true', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' },
    { OTEL_SERVICE_NAME: 'digits', OTEL_EXPORTER_OTLP_ENDPOINT: '' },
  ]) {
    t.equal(await startTracing(environment, quiet, load), null)
  }
})

test('a request is one span at the collector, in the trace of its caller', async t => {
  const posts = await collector(t)
  const { app, tracing, lines } = await traced(t)
  const headers = { ...image.headers, traceparent: `00-${trace}-${parent}-01` }
  t.equal((await app.inject({ ...image, headers, url: '/predict' })).statusCode, 200)
  t.equal((await app.inject({ ...image, headers, url: '/predict?model=circles' })).statusCode, 404)
  t.match(JSON.parse(lines.at(-1)!), { traceId: trace, status: 404 })
  await tracing.close()
  t.equal(posts.length, 1)
  const [{ url, type, body }] = posts as [Post]
  t.equal(url, '/v1/traces')
  t.equal(type, 'application/x-protobuf')
  for (const text of [
    'service.name',
    'xnord',
    'POST /predict',
    'http.response.status_code',
    'xnord.compute.milliseconds',
    'shapes',
    'MODEL_UNKNOWN',
  ]) {
    t.ok(body.includes(text), text)
  }
  t.ok(body.includes(Buffer.from(trace, 'hex')), 'the trace of the caller')
  t.ok(body.includes(Buffer.from(parent, 'hex')), 'the span of the caller')
  t.equal(body.toString('latin1').split('POST /predict').length - 1, 2, 'one span a request')
})

test('a span has the time of each network that was asked', async t => {
  const posts = await collector(t)
  const { app, tracing } = await traced(t)
  await app.inject({ ...image, url: '/compare' })
  await tracing.close()
  for (const text of ['xnord.compute.milliseconds', 'xnord.baseline.milliseconds']) {
    t.ok(posts[0]!.body.includes(text), text)
  }
})

test('a request without a caller begins a trace, which the log names', async t => {
  const posts = await collector(t)
  const { app, tracing, lines } = await traced(t)
  await app.inject('/models')
  await tracing.close()
  const { traceId } = JSON.parse(lines.at(-1)!)
  t.match(traceId, /^[0-9a-f]{32}$/)
  t.ok(posts[0]!.body.includes(Buffer.from(traceId, 'hex')))
})

test('keys reach no collector', async t => {
  const posts = await collector(t)
  const key = 'predict-0123456789-secret'
  const { app, tracing } = await traced(t, { config: { keys: [key] } })
  for (const token of [key, 'another-secret']) {
    await app.inject({ url: '/models', headers: { authorization: `Bearer ${token}` } })
  }
  await tracing.close()
  t.equal(posts[0]!.body.includes('secret'), false)
})

test('spans that the collector refuses are lost, and the log says so', async t => {
  await collector(t, 400)
  const { app, tracing, lines } = await traced(t)
  t.equal((await app.inject('/models')).statusCode, 200)
  await tracing.close()
  t.match(JSON.parse(lines.at(-1)!), { level: 40, msg: 'OpenTelemetry', detail: String })
})

test('what is not offered is refused by name', async t => {
  const environment = { OTEL_TRACES_EXPORTER: 'zipkin', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }
  await t.rejects(startTracing(environment, quiet), {
    code: 'CONFIGURATION_INVALID',
    message:
      'OTEL_TRACES_EXPORTER: must be otlp, not "zipkin"\nOTEL_EXPORTER_OTLP_PROTOCOL: must be http/protobuf, not "grpc"',
  })
})

test('where its packages are missing the start says how to have them', async t => {
  const load = () => Promise.reject(new Error('Cannot find package'))
  await t.rejects(startTracing({ OTEL_TRACES_EXPORTER: 'otlp' }, quiet, load), {
    code: 'CONFIGURATION_INVALID',
    message: /npm ci --include=optional/,
  })
})
