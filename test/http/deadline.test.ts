import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { test } from 'tap'
import { listen, metric, testApp } from './helper.ts'

const row = {
  method: 'POST' as const,
  headers: { 'content-type': 'application/octet-stream' },
  payload: Buffer.from('abcd'),
}
const tensor = { name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 1], data: [1, 2, 3, 4] }
const inference = (parameters: object) => ({
  method: 'POST' as const,
  url: '/v2/models/shapes/infer',
  payload: { parameters, inputs: [tensor] },
})

for (const [name, request, seconds] of [
  ['/predict', { ...row, url: '/predict' }, 30],
  ['/predict, before the parameter', { ...row, url: '/predict?deadline=50000' }, 30],
  ['/predict, behind the parameter', { ...row, url: '/predict?deadline=20000' }, 20],
  ['/compare', { ...row, url: '/compare' }, 30],
  ['inference', inference({}), 30],
  ['inference, before the parameters', inference({ deadline: 50_000, timeout: 40_000_000 }), 30],
  ['inference, behind a parameter', inference({ timeout: 20_000_000 }), 20],
] as const) {
  test(`the header sets a deadline: ${name}`, async t => {
    const { app, requests } = await testApp(t)
    const before = performance.now()
    const headers = { ...('headers' in request && request.headers), 'x-deadline-ms': '30000' }
    t.equal((await app.inject({ ...request, headers })).statusCode, 200)
    t.ok(requests[0]!.deadline! >= before + 1000 * seconds)
    t.ok(requests[0]!.deadline! <= performance.now() + 1000 * seconds)
  })
}

for (const text of ['0', '-1', '1.5', '1e3', ' ', '3600001', '1, 2']) {
  test(`the header must not be ${JSON.stringify(text)}`, async t => {
    const { app, requests } = await testApp(t)
    for (const request of [{ ...row, url: '/predict' }, inference({})]) {
      const headers = { ...('headers' in request && request.headers), 'x-deadline-ms': text }
      const answer = await app.inject({ ...request, headers })
      t.equal(answer.statusCode, 400)
      t.equal(answer.json().code, 'PARAMETER_INVALID')
      t.match(answer.body, /x-deadline-ms must be an integer from 1 to 3600000/)
    }
    t.equal(requests.length, 0)
  })
}

const compressed = gzipSync(Buffer.alloc(2 ** 16, 'xnord'), { level: 0 })

for (const [name, path, body, more] of [
  ['pixels', '/predict', Buffer.from('ab'), ''],
  ['compressed pixels', '/predict', compressed, 'Content-Encoding: gzip\r\n'],
  ['a tensor', '/v2/models/shapes/infer', Buffer.from('{'), ''],
  ['a compressed tensor', '/v2/models/shapes/infer', compressed, 'Content-Encoding: gzip\r\n'],
] as const) {
  test(`a body of ${name} that has not arrived by then is refused, and the connection serves on`, async t => {
    const { app, requests } = await testApp(t)
    const socket = connect(await listen(app), '127.0.0.1')
    let text = ''
    socket.on('data', chunk => {
      text += chunk
    })
    const length = body.length + 100_000
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nX-Deadline-Ms: 100\r\n${more}Content-Type: application/octet-stream\r\nContent-Length: ${length}\r\n\r\n`,
    )
    socket.write(body)
    while (!text.includes('DEADLINE_EXCEEDED')) await delay(10)
    t.match(text, /^HTTP\/1.1 503 /)
    socket.write('x'.repeat(100_000))
    socket.write('GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n')
    while (!text.includes('"live":true')) await delay(10)
    socket.destroy()
    await once(socket, 'close')
    t.equal(await metric(app, 'xnord_held_bytes'), 0)
    t.equal(requests.length, 0)
  })
}
