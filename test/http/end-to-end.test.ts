import { readFileSync } from 'node:fs'
import { deflateSync } from 'node:zlib'
import { pino } from 'pino'
import { test } from 'tap'
import { readConfig } from '../../src/config.ts'
import { buildApp } from '../../src/http/app.ts'
import { createMetrics } from '../../src/http/metrics.ts'
import { Statistics } from '../../src/http/statistics.ts'
import { createService } from '../../src/serving/service.ts'
import { tinyFolder, tinyLogits, tinyRows } from '../serving/tiny.ts'
import { metric, multipart } from './helper.ts'

/** A PNG of any size that its header claims, with the pixels of a small one. */
function png(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data])
    const framed = Buffer.alloc(body.length + 8)
    framed.writeUInt32BE(data.length)
    body.copy(framed, 4)
    framed.writeUInt32BE(crc32(body), body.length + 4)
    return framed
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width)
  header.writeUInt32BE(height, 4)
  header.set([8, 0], 8)
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.alloc(1000))),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** PNG specification, annex D. */
function crc32(bytes: Buffer): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return (crc ^ 0xffffffff) >>> 0
}

const digit = readFileSync(new URL('../fixtures/digit.png', import.meta.url))

test('a server over the real service', async t => {
  const config = { ...readConfig({}), logLevel: 'silent' as const }
  const metrics = createMetrics()
  const statistics = new Statistics()
  const service = await createService({
    models: tinyFolder(t.testdir()),
    workers: 1,
    queueRows: 1000,
    maxPixels: config.maxPixels,
    observer: statistics.observe(metrics.observer),
    log: pino({ level: 'silent' }),
  })
  const app = await buildApp({ service, config, metrics, statistics })
  t.teardown(async () => {
    await app.close()
    await service.close()
  })
  const post = (files: readonly Uint8Array[], url = '/predict') =>
    app.inject({ ...multipart(files.map(content => ({ filename: 'a.png', content }))), url })

  await t.test('raw pixels give the logits of the reference, over the inference protocol', async t => {
    const rows = tinyRows.slice(0, 5)
    const data = rows.flatMap(row => [...row.bytes])
    const answer = await app.inject({
      method: 'POST',
      url: '/v2/models/tiny/infer',
      payload: {
        parameters: { members: 3 },
        inputs: [{ name: 'image', datatype: 'UINT8', shape: [5, 13, 11, 3], data }],
        outputs: [{ name: 'logits' }],
      },
    })
    t.same(answer.json().outputs, [
      {
        name: 'logits',
        datatype: 'FP32',
        shape: [5, 3, 5],
        data: rows.flatMap((_, row) => tinyLogits(row, 3)),
      },
    ])
  })

  await t.test('an image file is classified by the discrete network and by the baseline', async t => {
    const answer = await post([digit], '/compare')
    t.equal(answer.statusCode, 200)
    const [{ discrete, baseline }] = answer.json().predictions
    t.ok(['zero', 'one', 'two', 'café', 'four'].includes(discrete.label))
    t.ok(['zero', 'one', 'two', 'café', 'four'].includes(baseline.label))
    t.ok(discrete.milliseconds > 0 && baseline.milliseconds > 0)
    t.match(answer.headers['server-timing'], /^queue;dur=.*, decode;dur=.*, compute;dur=.*, baseline;dur=/)
  })

  await t.test('a server answers by the baseline alone, and counts its rows', async t => {
    const rows = tinyRows.slice(0, 3)
    const before = await metric(app, 'xnord_predictions_total{model="tiny",version="1"}')
    const answer = await app.inject({
      method: 'POST',
      url: '/predict?network=baseline&top=1',
      headers: { 'content-type': 'application/octet-stream' },
      payload: Buffer.concat(rows.map(row => row.bytes)),
    })
    t.equal(answer.statusCode, 200)
    t.equal(answer.json().network, 'baseline')
    for (const [row, prediction] of answer.json().predictions.entries()) {
      // Its logits: 0, the first red pixel less 128, 2.5, 0, 0.
      const red = rows[row]!.bytes[0]! - 128
      const sum = 3 + Math.exp(red) + Math.exp(2.5)
      const [label, probability] = red > 2.5 ? ['one', Math.exp(red) / sum] : ['two', Math.exp(2.5) / sum]
      t.equal(prediction.label, label)
      t.ok(Math.abs(prediction.probability - probability) < 1e-6)
      t.notOk('uncertainty' in prediction)
    }
    t.match(answer.headers['server-timing'], /^queue;dur=[\d.]+, decode;dur=[\d.]+, baseline;dur=[\d.]+$/)
    t.equal(await metric(app, 'xnord_predictions_total{model="tiny",version="1"}'), before! + 3)
  })

  for (const [name, file, status, code] of [
    ['not an image', Buffer.from('hello, world'), 415, 'IMAGE_FORMAT_UNKNOWN'],
    ['an image cut short', digit.subarray(0, digit.length - 30), 422, 'IMAGE_MALFORMED'],
    ['a file of one byte', digit.subarray(0, 1), 415, 'IMAGE_FORMAT_UNKNOWN'],
    ['an empty part', Buffer.alloc(0), 400, 'IMAGE_EMPTY'],
    ['a header that claims 60,000 × 60,000', png(60_000, 60_000), 413, 'IMAGE_TOO_LARGE'],
  ] as const) {
    await t.test(`${name} is refused with ${code}, and its neighbour is answered`, async t => {
      const alone = await post([file])
      t.equal(alone.statusCode, status)
      t.equal(alone.json().code, code)
      const both = await post([file, digit])
      t.equal(both.statusCode, 200)
      t.match(both.json().predictions, [{ error: { code } }, { label: String }])
    })
  }

  await t.test('more members than there are is MEMBERS_OUT_OF_RANGE', async t => {
    const answer = await post([digit], '/predict?members=4')
    t.equal(answer.statusCode, 400)
    t.equal(answer.json().code, 'MEMBERS_OUT_OF_RANGE')
  })

  await t.test('more rows than the queue can ever take is REQUEST_TOO_LARGE_FOR_QUEUE', async t => {
    const answer = await app.inject({
      method: 'POST',
      url: '/predict?members=3',
      headers: { 'content-type': 'application/octet-stream' },
      payload: Buffer.alloc(13 * 11 * 3 * 400),
    })
    t.equal(answer.statusCode, 413)
    t.equal(answer.json().code, 'REQUEST_TOO_LARGE_FOR_QUEUE')
  })

  await t.test('each answered row is counted once', async t => {
    const series = 'xnord_predictions_total{model="tiny",version="1"}'
    const before = await metric(app, series)
    await post([digit, digit, Buffer.from('no image')])
    t.equal(await metric(app, series), before! + 2)
    t.equal(await metric(app, 'xnord_in_flight_rows'), 0)
  })

  await t.test('after its end the service refuses what still comes', async t => {
    await service.close()
    t.equal((await post([digit])).json().code, 'SHUTTING_DOWN')
    t.equal((await app.inject('/v2/health/ready')).statusCode, 503)
  })
})
