import { once } from 'node:events'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import type { FastifyRequest } from 'fastify'
import { test } from 'tap'
import { readAll, readDecoded } from '../../src/http/body.ts'
import { binaryRequest } from './binary-tensors.ts'
import { square } from './fake-service.ts'
import { listen, metric, multipart, testApp } from './helper.ts'

const pixels = Uint8Array.of(1, 2, 3, 255)
const image = { name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 1], parameters: { binary_data_size: 4 } }
const plain = binaryRequest({ inputs: [image] }, pixels)

/** The same request, its body as an encoding makes it. */
function encoded(encoding: string, payload: Buffer) {
  return { ...plain, payload, headers: { ...plain.headers, 'content-encoding': encoding } }
}

for (const [encoding, encode] of [
  ['gzip', gzipSync],
  ['x-gzip', gzipSync],
  ['GZip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
  ['identity', (payload: Buffer) => payload],
] as const) {
  test(`a body in ${encoding} is taken, and its header length is that of the body within`, async t => {
    const { app, requests } = await testApp(t)
    const answer = await app.inject(encoded(encoding, encode(plain.payload)))
    t.equal(answer.statusCode, 200)
    t.same([...requests[0]!.rows[0]!.bytes], [...pixels])
  })
}

test('an encoding that is not known is refused with those that are', async t => {
  const { app } = await testApp(t)
  for (const encoding of ['zstd', 'gzip, gzip', 'toString', '']) {
    const answer = await app.inject(encoded(encoding, plain.payload))
    t.equal(answer.statusCode, 415)
    t.match(answer.json(), { code: 'CONTENT_ENCODING_UNSUPPORTED', error: /gzip, x-gzip, deflate, br/ })
  }
})

for (const [name, encoding, payload] of [
  ['a body that is not compressed', 'gzip', plain.payload],
  ['a body cut short', 'gzip', gzipSync(plain.payload).subarray(0, -5)],
  ['a body in another encoding', 'deflate', deflateRawSync(plain.payload)],
  ['damaged brotli', 'br', Buffer.alloc(50, 0xff)],
] as const) {
  test(`${name} is BODY_MALFORMED`, async t => {
    const { app } = await testApp(t)
    const answer = await app.inject(encoded(encoding, payload))
    t.equal(answer.statusCode, 400)
    t.match(answer.json(), { code: 'BODY_MALFORMED', error: new RegExp(`^The body is not ${encoding}: `) })
  })
}

test('limits count the bytes that come out, while they do', async t => {
  const { app } = await testApp(t, { config: { maxBodyBytes: 2 ** 20 } })
  const bomb = gzipSync(Buffer.alloc(2 ** 28))
  t.ok(bomb.length < 2 ** 19)
  const { heapUsed, external } = process.memoryUsage()
  const answer = await app.inject(encoded('gzip', bomb))
  t.equal(answer.statusCode, 413)
  t.equal(answer.json().code, 'BODY_TOO_LARGE')
  const after = process.memoryUsage()
  t.ok(after.heapUsed + after.external - heapUsed - external < 2 ** 26)
  t.equal(await metric(app, 'xnord_held_bytes'), 0)
})

test('limits count the bytes that go in, too: of some nothing comes out', async t => {
  const { app } = await testApp(t, { config: { maxBodyBytes: 2 ** 12 } })
  const empty = gzipSync(Buffer.alloc(0))
  const payload = Readable.from(Array.from({ length: 1000 }, () => empty))
  const headers = { ...encoded('gzip', empty).headers, 'transfer-encoding': 'chunked' }
  const answer = await app.inject({ ...plain, headers, payload })
  t.equal(answer.statusCode, 413)
  t.equal(answer.json().code, 'BODY_TOO_LARGE')
})

test('/predict and /compare take a compressed image or compressed pixels', async t => {
  const { app, requests } = await testApp(t)
  const headers = { 'content-encoding': 'gzip' }
  for (const [url, type] of [
    ['/predict', 'application/octet-stream'],
    ['/compare', 'image/png'],
  ] as const) {
    const answer = await app.inject({
      method: 'POST',
      url,
      headers: { ...headers, 'content-type': type },
      payload: gzipSync(pixels),
    })
    t.equal(answer.statusCode, 200)
    t.same([...requests.at(-1)!.rows[0]!.bytes], [...pixels])
  }
  const { headers: types, ...parts } = multipart([{ filename: 'a.png', content: 'x' }])
  const answer = await app.inject({ ...parts, url: '/predict', headers: { ...types, ...headers } })
  t.equal(answer.statusCode, 415)
  t.equal(answer.json().code, 'CONTENT_ENCODING_UNSUPPORTED')
})

test('a body that is gone before it is read ends the reading', async t => {
  const raw = new Readable({ read() {} })
  raw.destroy()
  const request = { headers: { 'content-encoding': 'gzip' }, raw } as unknown as FastifyRequest
  await t.rejects(
    readDecoded(request, 10, () => {}),
    { code: 'BODY_MALFORMED' },
  )
})

test('the bytes that come out are held against those of all requests', async t => {
  let held: number | null = null
  const { app } = await testApp(t, {
    answer: async (_row, request) => {
      held = await metric(app, 'xnord_held_bytes')
      return square(request)
    },
  })
  await app.inject(encoded('gzip', gzipSync(plain.payload)))
  t.equal(held, plain.payload.length)
})

test('a client that hangs up in the middle of a compressed body leaves nothing held', async t => {
  const { app } = await testApp(t)
  const socket = connect(await listen(app), '127.0.0.1')
  await once(socket, 'connect')
  // Compressed so little that some of it comes out before the end.
  const body = gzipSync(Buffer.alloc(2 ** 18, 'xnord'), { level: 0 })
  socket.write(
    `POST /v2/models/shapes/infer HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`,
  )
  socket.write(body.subarray(0, 2 ** 17))
  const heldSome = async () => ((await metric(app, 'xnord_held_bytes')) ?? 0) > 0
  while (!(await heldSome())) await new Promise(resolve => setImmediate(resolve))
  socket.destroy()
  while (await heldSome()) await new Promise(resolve => setImmediate(resolve))
  t.equal(await metric(app, 'xnord_requests_total{model="shapes",version="2",status="499"}'), 1)
})

test('a stream that closes before its end is BODY_MALFORMED', async t => {
  const late = new Readable({ read() {} })
  const reading = readAll(late, 10, () => {})
  late.destroy()
  await t.rejects(reading, { code: 'BODY_MALFORMED' })
  await t.rejects(
    readAll(late, 10, () => {}),
    { code: 'BODY_MALFORMED' },
  )
})
