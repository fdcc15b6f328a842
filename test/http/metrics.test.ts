import { test } from 'tap'
import { HeldBytes } from '../../src/http/held-bytes.ts'
import { metricTable } from '../../src/http/metric-table.ts'
import { createMetrics } from '../../src/http/metrics.ts'
import { fakeService, shapes } from './fake-service.ts'
import { metric, multipart, testApp } from './helper.ts'

const image = multipart([{ filename: 'a.png', content: 'the bytes' }])
const labels = 'model="shapes",version="2"'

/** The lines of the text that Prometheus scrapes, without comments. */
async function series(metrics: ReturnType<typeof createMetrics>): Promise<readonly string[]> {
  return (await metrics.render()).split('\n').filter(line => line !== '' && !line.startsWith('#'))
}

test('/metrics is in the text format of Prometheus', async t => {
  const { app } = await testApp(t)
  const answer = await app.inject('/metrics')
  t.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  t.match(answer.body, /^# TYPE xnord_requests_total counter$/m)
})

test('the state of serving is read at each scrape', async t => {
  const { app } = await testApp(t, { state: { ready: false } })
  t.equal(await metric(app, 'xnord_workers'), 2)
  t.equal(await metric(app, 'xnord_busy_workers'), 1)
  t.equal(await metric(app, `xnord_queue_rows{${labels}}`), 3)
  t.equal(await metric(app, 'xnord_in_flight_rows'), 5)
  t.equal(await metric(app, 'xnord_ready'), 0)
  t.equal(await metric(app, 'xnord_worker_busy_seconds_total'), 1.5)
  t.equal(await metric(app, 'xnord_worker_busy_seconds_total'), 1.5, 'a scrape adds nothing')
})

test('what waits is told of each version, one that was swapped out included, and of nothing that is gone', async t => {
  const queuedRows = new Map([
    [shapes, 3],
    [{ ...shapes, digest: 'e'.repeat(64) }, 4],
    [{ ...shapes, name: 'digits', version: 1 }, 0],
  ])
  const { app } = await testApp(t, { state: { queuedRows: () => queuedRows } })
  t.equal(await metric(app, `xnord_queue_rows{${labels}}`), 7)
  t.equal(await metric(app, 'xnord_queue_rows{model="digits",version="1"}'), 0)
  queuedRows.clear()
  const { body } = await app.inject('/metrics')
  t.notMatch(body, /^xnord_queue_rows\b/m)
})

test('models and build are told by labels', async t => {
  const { app } = await testApp(t)
  t.equal(await metric(app, `xnord_model_info{${labels},digest="${'d'.repeat(64)}"}`), 1)
  const { body } = await app.inject('/metrics')
  t.match(
    body,
    new RegExp(`^xnord_build_info{version="[^"]+",backend="wasm",node="${process.versions.node}"} 1$`, 'm'),
  )
})

test('a request is counted once, by its status, and timed once a stage', async t => {
  const { app } = await testApp(t)
  await app.inject({ ...image, url: '/predict' })
  await app.inject({ ...image, url: '/predict?top=9' })
  t.equal(await metric(app, `xnord_requests_total{${labels},status="200"}`), 1)
  t.equal(await metric(app, `xnord_requests_total{${labels},status="400"}`), 1)
  t.equal(await metric(app, `xnord_request_duration_seconds_count{${labels},stage="total"}`), 1)
  t.equal(await metric(app, `xnord_request_duration_seconds_count{${labels},stage="encode"}`), 1)
})

test('an inference request is counted like any other', async t => {
  const { app } = await testApp(t)
  const payload = { inputs: [{ name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 1], data: [1, 2, 3, 4] }] }
  await app.inject({ method: 'POST', url: '/v2/models/shapes/infer', payload })
  t.equal(await metric(app, `xnord_requests_total{${labels},status="200"}`), 1)
  t.equal(await metric(app, `xnord_request_duration_seconds_count{${labels},stage="encode"}`), 1)
})

test('what is not a request for predictions is not counted', async t => {
  const { app } = await testApp(t)
  await app.inject('/models')
  await app.inject('/nothing')
  const { body } = await app.inject('/metrics')
  t.notMatch(body, /^xnord_requests_total.* [^0]$/m)
})

test('a name that a caller makes up never becomes a label', async t => {
  const { app } = await testApp(t)
  const before = (await app.inject('/metrics')).body.match(/^xnord_requests_total/gm)!.length
  for (const name of ['evil', 'a"b\\n', '%0A', '__proto__']) {
    await app.inject({ ...image, url: `/predict?model=${encodeURIComponent(name)}` })
    await app.inject({
      method: 'POST',
      url: `/v2/models/${encodeURIComponent(name)}/infer`,
      payload: { inputs: [] },
    })
  }
  const { body } = await app.inject('/metrics')
  t.equal(body.match(/^xnord_requests_total/gm)!.length, before)
  t.notMatch(body, /evil|proto/)
  t.equal(await metric(app, 'xnord_requests_total{model="",version="",status="404"}'), 8)
})

test('rows are observed once a stage, a stage that did not happen not at all', async t => {
  const metrics = createMetrics()
  metrics.observer.row(shapes, { queue: 0.2, decode: 3, compute: 0.04, baseline: null })
  metrics.observer.row(shapes, { queue: 0.2, decode: 3, compute: null, baseline: null })
  const lines = await series(metrics)
  for (const line of [
    `xnord_row_duration_seconds_count{${labels},stage="queue"} 2`,
    `xnord_row_duration_seconds_count{${labels},stage="decode"} 2`,
    `xnord_row_duration_seconds_count{${labels},stage="compute"} 1`,
    `xnord_row_duration_seconds_sum{${labels},stage="compute"} 0.00004`,
    `xnord_row_duration_seconds_bucket{le="0.00005",${labels},stage="compute"} 1`,
    `xnord_predictions_total{${labels}} 1`,
  ]) {
    t.ok(lines.includes(line), line)
  }
  t.ok(lines.includes(`xnord_row_duration_seconds_count{${labels},stage="baseline"} 0`))
})

test('a row that the baseline alone has answered is a prediction, and has no time of the network', async t => {
  const metrics = createMetrics()
  metrics.observer.row(shapes, { queue: 0.2, decode: 3, compute: null, baseline: 0.04 })
  const lines = await series(metrics)
  for (const line of [
    `xnord_row_duration_seconds_count{${labels},stage="compute"} 0`,
    `xnord_row_duration_seconds_count{${labels},stage="baseline"} 1`,
    `xnord_row_duration_seconds_sum{${labels},stage="baseline"} 0.00004`,
    `xnord_predictions_total{${labels}} 1`,
  ]) {
    t.ok(lines.includes(line), line)
  }
})

test('batches, rejections and broken rows are counted', async t => {
  const metrics = createMetrics()
  metrics.observer.batch(shapes, { rows: 3, reason: 'full', compute: 1 })
  metrics.observer.rejected(shapes, 'QUEUE_FULL', 5)
  metrics.observer.failed(shapes, 'IMAGE_EMPTY')
  const lines = await series(metrics)
  for (const line of [
    `xnord_batch_rows_bucket{le="2",${labels}} 0`,
    `xnord_batch_rows_bucket{le="4",${labels}} 1`,
    `xnord_batches_total{${labels},reason="full"} 1`,
    `xnord_rejections_total{${labels},reason="QUEUE_FULL"} 5`,
    `xnord_row_errors_total{${labels},code="IMAGE_EMPTY"} 1`,
  ]) {
    t.ok(lines.includes(line), line)
  }
})

test('every combination of labels is there from the start, at zero', async t => {
  const metrics = createMetrics()
  metrics.watch(fakeService().service, new HeldBytes(1), 0)
  const names = (lines: readonly string[]) => lines.map(line => line.slice(0, line.lastIndexOf(' '))).sort()
  const before = names(await series(metrics))
  metrics.observer.row(shapes, { queue: 1, decode: 1, compute: 1, baseline: 1 })
  metrics.observer.batch(shapes, { rows: 1, reason: 'delay', compute: 1 })
  metrics.observer.retried(shapes, 1)
  metrics.observer.workerLost('exit')
  metrics.observer.rejected(shapes, 'WORKER_LOST', 1)
  metrics.observer.failed(shapes, 'IMAGE_MALFORMED')
  metrics.requestEnded(shapes, 422, 1)
  metrics.requestEnded(null, 404, 1)
  metrics.encoded(shapes, 1)
  metrics.compared(shapes, true)
  metrics.uploadRefused()
  metrics.connectionRefused()
  metrics.unparsed('REQUEST_TIMEOUT')
  const ours = (line: string) => Object.keys(metricTable).some(name => line.startsWith(`xnord_${name}`))
  t.same(names(await series(metrics)).filter(ours), before.filter(ours))
})

test('a swap changes the digest, and keeps what was counted', async t => {
  const metrics = createMetrics()
  metrics.observer.loaded(shapes)
  metrics.observer.batch(shapes, { rows: 3, reason: 'full', compute: 1 })
  metrics.observer.loaded({ ...shapes, digest: 'e'.repeat(64), maxRows: 32 })
  metrics.observer.unloaded(shapes)
  const lines = await series(metrics)
  for (const line of [
    `xnord_model_info{${labels},digest="${'e'.repeat(64)}"} 1`,
    `xnord_batch_rows_count{${labels}} 1`,
    `xnord_batch_max_rows{${labels}} 32`,
  ]) {
    t.ok(lines.includes(line), line)
  }
  t.notOk(lines.some(line => line.includes(shapes.digest)))
})

test('a swap of the baseline alone leaves the model where it is, and an unload takes it away', async t => {
  const metrics = createMetrics()
  const successor = { ...shapes, hasBaseline: false }
  metrics.observer.loaded(shapes)
  metrics.observer.loaded(successor)
  metrics.observer.unloaded(shapes)
  const gauges = [
    `xnord_model_info{${labels},digest="${shapes.digest}"} 1`,
    `xnord_batch_max_rows{${labels}} 64`,
  ]
  const swapped = await series(metrics)
  for (const line of gauges) t.ok(swapped.includes(line), line)
  metrics.observer.unloaded(successor)
  const unloaded = await series(metrics)
  for (const line of gauges) t.notOk(unloaded.includes(line), line)
})

test('the delay of batches is told in seconds', async t => {
  const { app } = await testApp(t, { config: { batchDelay: 2.5 } })
  t.equal(await metric(app, 'xnord_batch_delay_seconds'), 0.0025)
})

test('every family of the table is in a scrape, and no other of ours', async t => {
  const { app } = await testApp(t)
  const { body } = await app.inject('/metrics')
  const families = [...body.matchAll(/^# TYPE xnord_(\S+)/gm)]
    .map(match => match[1]!)
    .filter(name => !/^(process|nodejs)_/.test(name))
  t.same(families.sort(), Object.keys(metricTable).sort())
})
