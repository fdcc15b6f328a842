import { connect } from 'node:net'
import { pino } from 'pino'
import { test } from 'tap'
import type { RowAnswer } from '../../src/serving/types.ts'
import { listen, multipart, type TestOptions, testApp } from './helper.ts'

const image = multipart([{ filename: 'a.png', content: 'the bytes' }])
const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
const traceparent = `00-${trace}-00f067aa0ba902b7-01`

/** The app, and the lines that it has logged. */
async function logged(t: Parameters<typeof testApp>[0], options: TestOptions = {}) {
  const text: string[] = []
  const log = pino({ base: undefined }, { write: line => void text.push(line) })
  const { app } = await testApp(t, { ...options, log })
  return { app, text, lines: () => text.map(line => JSON.parse(line)) }
}

test('a request for predictions is one line, with its model, rows, stages and status', async t => {
  const { app, lines } = await logged(t)
  const two = multipart([
    { filename: 'a.png', content: 'a' },
    { filename: 'b.png', content: 'b' },
  ])
  const answer = await app.inject({
    ...two,
    headers: { ...two.headers, traceparent },
    url: '/compare?model=shapes',
  })
  t.equal(answer.statusCode, 200)
  const [line, ...more] = lines()
  t.same(more, [])
  t.match(line, {
    level: 30,
    id: answer.headers['x-request-id'],
    traceId: trace,
    method: 'POST',
    route: '/compare',
    model: 'shapes',
    version: 2,
    rows: 2,
    status: 200,
    queueMs: 0.25,
    decodeMs: 0.5,
    computeMs: 0.125,
    baselineMs: 2,
    encodeMs: Number,
    totalMs: Number,
    msg: 'request',
  })
  t.equal('code' in line, false)
})

test('the line of a request has the time of the network that was asked alone', async t => {
  const { app, lines } = await logged(t)
  await app.inject({ ...multipart([{ filename: 'a.png', content: 'a' }]), url: '/predict?network=baseline' })
  const [line] = lines()
  t.match(line, { status: 200, baselineMs: 2 })
  t.equal('computeMs' in line, false)
})

test('an inference request is logged like any other', async t => {
  const { app, lines } = await logged(t)
  const payload = { inputs: [{ name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 1], data: [1, 2, 3, 4] }] }
  await app.inject({ method: 'POST', url: '/v2/models/shapes/infer', payload })
  t.match(lines(), [
    {
      route: '/v2/models/:name/infer',
      model: 'shapes',
      rows: 1,
      status: 200,
      queueMs: 0.25,
      encodeMs: Number,
    },
  ])
})

test('a refused request is logged with its code, and its problem document names the line', async t => {
  const { app, lines } = await logged(t)
  const answer = await app.inject({ ...image, url: '/predict?model=circles' })
  const [line] = lines()
  t.match(line, { route: '/predict', status: 404, code: 'MODEL_UNKNOWN', id: String })
  t.equal(answer.json().instance, `urn:uuid:${line.id}`)
  t.equal(answer.headers['x-request-id'], line.id)
  for (const absent of ['model', 'version', 'rows', 'traceId', 'queueMs', 'encodeMs']) {
    t.notOk(absent in line, absent)
  }
  t.type(line.totalMs, 'number')
})

test('a client that hangs up is logged as 499', async t => {
  let asked = () => {}
  const wasAsked = new Promise<void>(resolve => {
    asked = resolve
  })
  const { app, lines } = await logged(t, {
    answer: async (_row, { signal }): Promise<RowAnswer> => {
      asked()
      await new Promise<void>(resolve => signal!.addEventListener('abort', resolve))
      return { ok: false, error: { code: 'IMAGE_EMPTY', detail: 'Empty.' } }
    },
  })
  const socket = connect(await listen(app), '127.0.0.1')
  socket.write('POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 1\r\n\r\nx')
  await wasAsked
  socket.destroy()
  const requests = () => lines().filter(({ msg }) => msg === 'request')
  while (requests().length === 0) await new Promise(setImmediate)
  t.match(requests(), [{ route: '/predict', status: 499 }])
})

test('an error inside is logged under the id of its request', async t => {
  const { app, lines } = await logged(t, {
    answer: () => {
      throw new TypeError('a mistake')
    },
  })
  await app.inject({ ...image, url: '/predict' })
  const [error, line] = lines()
  t.match(error, { level: 50, detail: 'a mistake', err: { type: 'TypeError' } })
  t.match(line, { status: 500, code: 'INTERNAL', id: error.id })
})

test('neither keys nor addresses nor file names reach the log', async t => {
  const key = 'predict-0123456789-secret'
  const { app, text } = await logged(t, { config: { keys: [key] } })
  const parts = multipart([{ filename: 'secret.png', content: 'secret' }])
  for (const authorization of [`Bearer ${key}`, 'Bearer wrong-secret', 'Basic secret']) {
    for (const url of ['/predict?model=secret', '/predict', '/models/secret', '/secret', '/secret%zz']) {
      const headers = { ...parts.headers, authorization, cookie: 'secret', 'x-request-id': 'secret' }
      await app.inject({ ...parts, headers, url, method: url.startsWith('/models') ? 'GET' : 'POST' })
    }
  }
  t.equal(text.length > 9, true)
  t.notMatch(text.join(''), /secret/)
})

test('requests are not logged where that is turned off', async t => {
  const { app, lines } = await logged(t, { config: { logRequests: false } })
  t.equal((await app.inject('/models')).statusCode, 200)
  t.same(lines(), [])
})
