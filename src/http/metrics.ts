import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { type ErrorCode, errorTable } from '../errors.ts'
import type { Observer, RejectionReason, ServedModel, Service } from '../serving/types.ts'
import type { HeldBytes } from './held-bytes.ts'
import { type MetricName, metricTable, statuses } from './metric-table.ts'
import { version } from './version.ts'

const prefix = 'xnord_'

const rowStages = ['queue', 'decode', 'compute', 'baseline'] as const
const requestStages = ['encode', 'total'] as const

const rejectionReasons: readonly RejectionReason[] = [
  'QUEUE_FULL',
  'REQUEST_TOO_LARGE_FOR_QUEUE',
  'DEADLINE_EXCEEDED',
  'CLIENT_GONE',
  'NOT_READY',
  'SHUTTING_DOWN',
  'WORKER_LOST',
]

/** The codes that one row of a request can carry. */
const rowCodes: readonly ErrorCode[] = [
  ...(Object.keys(errorTable) as ErrorCode[]).filter(code => errorTable[code].group === 'image'),
  'BODY_TOO_LARGE',
  'INTERNAL',
]

/** What is counted of a request for predictions, and how all of it is read. */
export interface Metrics {
  /** Handed to serving, which tells it what happens to rows. */
  readonly observer: Observer
  /** Starts the gauges, and sets every combination of labels to zero. Called once, when the models are loaded. */
  watch(service: Service, heldBytes: HeldBytes): void
  /**
   * @param model null where none was found
   * @param seconds from the receipt of the headers to the end of the answer
   */
  requestEnded(model: ServedModel | null, status: number, seconds: number): void
  encoded(model: ServedModel, seconds: number): void
  compared(model: ServedModel, same: boolean): void
  uploadRefused(): void
  readonly contentType: string
  /** The text that Prometheus scrapes. */
  render(): Promise<string>
}

/** Metrics with a registry of their own. This is the one module that knows prom-client. */
export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix })

  const counter = (name: MetricName) => new Counter({ ...describe(name), registers: [registry] })
  const histogram = (name: MetricName) => new Histogram({ ...describe(name), registers: [registry] })
  const gauge = (name: MetricName, read: () => number) =>
    new Gauge({
      ...describe(name),
      registers: [registry],
      collect() {
        this.set(read())
      },
    })

  const requests = counter('requests_total')
  const requestDurations = histogram('request_duration_seconds')
  const rowDurations = histogram('row_duration_seconds')
  const predictions = counter('predictions_total')
  const rowErrors = counter('row_errors_total')
  const rejections = counter('rejections_total')
  const refusedUploads = counter('refused_uploads_total')
  const comparedRows = counter('compared_rows_total')
  const batchRows = histogram('batch_rows')

  const observer: Observer = {
    row(model, times) {
      const labels = labelsOf(model)
      for (const stage of rowStages) {
        const milliseconds = times[stage]
        if (milliseconds !== null) rowDurations.observe({ ...labels, stage }, milliseconds / 1000)
      }
      if (times.compute !== null) predictions.inc(labels)
    },
    batch(model, rows) {
      batchRows.observe(labelsOf(model), rows)
    },
    rejected(model, reason, rows) {
      rejections.inc({ ...labelsOf(model), reason }, rows)
    },
    failed(model, code) {
      rowErrors.inc({ ...labelsOf(model), code })
    },
  }

  function presetZeros(model: ServedModel): void {
    const labels = labelsOf(model)
    for (const status of statuses) requests.inc({ ...labels, status }, 0)
    for (const stage of requestStages) requestDurations.zero({ ...labels, stage })
    for (const stage of rowStages) rowDurations.zero({ ...labels, stage })
    for (const code of rowCodes) rowErrors.inc({ ...labels, code }, 0)
    for (const reason of rejectionReasons) rejections.inc({ ...labels, reason }, 0)
    for (const outcome of ['same', 'different']) comparedRows.inc({ ...labels, outcome }, 0)
    predictions.inc(labels, 0)
    batchRows.zero(labels)
  }

  return {
    observer,
    watch(service, heldBytes) {
      gauge('queue_rows', () => service.state().queuedRows)
      gauge('in_flight_rows', () => service.state().inFlightRows)
      gauge('held_bytes', () => heldBytes.held)
      gauge('workers', () => service.state().workers)
      gauge('busy_workers', () => service.state().busyWorkers)
      gauge('ready', () => Number(service.state().ready))
      new Counter({
        ...describe('worker_busy_seconds_total'),
        registers: [registry],
        collect() {
          this.reset()
          this.inc(service.state().busySeconds)
        },
      })
      const models = new Gauge({ ...describe('model_info'), registers: [registry] })
      for (const model of service.models()) {
        presetZeros(model)
        models.set({ ...labelsOf(model), digest: model.digest }, 1)
      }
      for (const status of statuses) requests.inc({ ...labelsOf(null), status }, 0)
      new Gauge({ ...describe('build_info'), registers: [registry] }).set(
        { version, backend: service.backend, node: process.versions.node },
        1,
      )
    },
    requestEnded(model, status, seconds) {
      requests.inc({ ...labelsOf(model), status })
      if (model !== null && status === 200)
        requestDurations.observe({ ...labelsOf(model), stage: 'total' }, seconds)
    },
    encoded(model, seconds) {
      requestDurations.observe({ ...labelsOf(model), stage: 'encode' }, seconds)
    },
    compared(model, same) {
      comparedRows.inc({ ...labelsOf(model), outcome: same ? 'same' : 'different' })
    },
    uploadRefused() {
      refusedUploads.inc()
    },
    contentType: registry.contentType,
    render: () => registry.metrics(),
  }
}

function describe(name: MetricName) {
  const { help, labels, ...rest } = metricTable[name]
  const buckets = 'buckets' in rest ? { buckets: [...rest.buckets] } : {}
  return { name: `${prefix}${name}`, help, labelNames: [...labels] as string[], ...buckets }
}

function labelsOf(model: ServedModel | null): { model: string; version: string } {
  return model === null ? { model: '', version: '' } : { model: model.name, version: String(model.version) }
}
