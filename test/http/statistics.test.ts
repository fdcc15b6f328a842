import { test } from 'tap'
import { Statistics } from '../../src/http/statistics.ts'
import type { Observer } from '../../src/serving/types.ts'
import { binaryRequest } from './binary-tensors.ts'
import { shapes } from './fake-service.ts'
import { testApp } from './helper.ts'

const seen: string[] = []
const silent: Observer = {
  row: (_, { queue }) => void seen.push(`row ${queue}`),
  batch: (_, { rows }) => void seen.push(`batch ${rows}`),
  rejected: () => {},
  failed: () => void seen.push('failed'),
  workerLost: () => {},
  retried: () => {},
  loaded: () => {},
  unloaded: () => {},
}
const zero = { count: 0, ns: 0 }
const times = { queue: 1, decode: 2, compute: 0.5, baseline: null }

test('rows, batches and requests are summed a version, in nanoseconds', t => {
  const statistics = new Statistics()
  const observer = statistics.observe(silent)
  const before = Date.now()
  observer.batch(shapes, { rows: 8, reason: 'full', compute: 4 })
  observer.batch(shapes, { rows: 2, reason: 'worker', compute: 1 })
  observer.batch(shapes, { rows: 2, reason: 'worker', compute: 1.5 })
  observer.row(shapes, times)
  observer.row(shapes, times)
  observer.row(shapes, { ...times, compute: null })
  observer.failed(shapes, 'IMAGE_EMPTY')
  const stages = { queue: 3, decode: 2, compute: 0.5, baseline: null }
  statistics.requestEnded({ model: shapes, stages, encoding: 0.25 }, 200, 10)
  statistics.requestEnded({ model: shapes, stages: null, encoding: null }, 200, 1)
  statistics.requestEnded({ model: shapes, stages: null, encoding: null }, 503, 0.001)
  statistics.requestEnded({ model: null, stages: null, encoding: null }, 404, 1)

  const [version] = statistics.of([shapes])
  t.ok(version!.last_inference >= before && version!.last_inference <= Date.now())
  t.strictSame(
    { ...version, last_inference: 0 },
    {
      name: 'shapes',
      version: '2',
      last_inference: 0,
      inference_count: 2,
      execution_count: 3,
      inference_stats: {
        success: { count: 2, ns: 11_000_000 },
        fail: { count: 1, ns: 1000 },
        queue: { count: 2, ns: 3_000_000 },
        compute_input: { count: 2, ns: 6_000_000 },
        compute_infer: { count: 2, ns: 1_000_000 },
        compute_output: { count: 2, ns: 250_000 },
        cache_hit: zero,
        cache_miss: zero,
      },
      batch_stats: [
        {
          batch_size: 2,
          compute_input: zero,
          compute_infer: { count: 2, ns: 2_500_000 },
          compute_output: zero,
        },
        {
          batch_size: 8,
          compute_input: zero,
          compute_infer: { count: 1, ns: 4_000_000 },
          compute_output: zero,
        },
      ],
    },
  )
  t.strictSame(seen, ['batch 8', 'batch 2', 'batch 2', 'row 1', 'row 1', 'row 1', 'failed'])
  t.end()
})

test('a row is counted once, whichever networks answered it, with what they took together', t => {
  const statistics = new Statistics()
  const observer = statistics.observe(silent)
  observer.row(shapes, { ...times, compute: null, baseline: 4 })
  observer.row(shapes, { ...times, baseline: 4 })
  const [version] = statistics.of([shapes])
  t.equal(version!.inference_count, 2)
  t.equal(version!.inference_stats.compute_infer.ns, 8_500_000)
  t.end()
})

test('a version that is loaded again goes on counting', t => {
  const statistics = new Statistics()
  const observer = statistics.observe(silent)
  observer.row(shapes, times)
  const swapped = { ...shapes, digest: 'e'.repeat(64) }
  observer.row(swapped, times)
  t.equal(statistics.of([swapped])[0]!.inference_count, 2)
  t.equal(statistics.of([{ ...shapes, version: 3 }])[0]!.inference_count, 0)
  t.end()
})

test('statistics are given of all models, of all versions of one, or of one version', async t => {
  const models = [{ ...shapes, name: 'other', version: 1 }, { ...shapes, version: 1 }, shapes]
  const { app } = await testApp(t, { models })
  const listed = async (url: string) =>
    (await app.inject(url))
      .json()
      .model_stats.map(({ name, version }: { name: string; version: string }) => `${name}/${version}`)
  t.strictSame(await listed('/v2/models/stats'), ['other/1', 'shapes/1', 'shapes/2'])
  t.strictSame(await listed('/v2/models/shapes/stats'), ['shapes/1', 'shapes/2'])
  t.strictSame(await listed('/v2/models/shapes/versions/1/stats'), ['shapes/1'])
  t.equal((await app.inject('/v2/models/none/stats')).statusCode, 404)
  t.equal((await app.inject('/v2/models/shapes/versions/7/stats')).statusCode, 404)
})

test('each request for predictions is counted when it has ended, with its stages', async t => {
  const { app, statistics } = await testApp(t)
  const image = { name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 1], parameters: { binary_data_size: 4 } }
  await app.inject(binaryRequest({ inputs: [image] }, Buffer.alloc(4)))
  await app.inject({
    method: 'POST',
    url: '/predict',
    payload: Buffer.alloc(4),
    headers: { 'content-type': 'application/octet-stream' },
  })
  await app.inject(binaryRequest({ inputs: [image] }, Buffer.alloc(3)))
  await app.inject('/v2/models/shapes')
  const { success, fail, queue } = statistics.of([shapes])[0]!.inference_stats
  t.equal(success.count, 2)
  t.ok(success.ns > 0)
  t.equal(fail.count, 1)
  t.strictSame(queue, { count: 2, ns: 500_000 })
})
