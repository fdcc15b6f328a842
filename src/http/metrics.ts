import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { type ErrorCode, errorTable } from '../errors.ts'
import type {
  BatchReason,
  Observer,
  RejectionReason,
  ServedModel,
  Service,
  WorkerLossCause,
} from '../serving/types.ts'
import { Family } from './family.ts'
import type { HeldBytes } from './held-bytes.ts'
import { type MetricName, metricTable, statuses } from './metric-table.ts'
import { version } from './version.ts'

const prefix = 'xnord_'

const rowStages = ['queue', 'decode', 'compute', 'baseline'] as const

const rejectionReasons: readonly RejectionReason[] = [
  'QUEUE_FULL',
  'REQUEST_TOO_LARGE_FOR_QUEUE',
  'DEADLINE_EXCEEDED',
  'CLIENT_GONE',
  'NOT_READY',
  'SHUTTING_DOWN',
  'WORKER_LOST',
]

const batchReasons: readonly BatchReason[] = ['full', 'worker', 'delay']

const workerLossCauses: readonly WorkerLossCause[] = ['memory', 'exit', 'error']

/** Why a request is refused unread. */
const shedReasons = ['OVERLOADED', 'QUEUE_FULL'] as const satisfies readonly ErrorCode[]
export type ShedReason = (typeof shedReasons)[number]

/** The codes that one row of a request can carry. */
const rowCodes: readonly ErrorCode[] = [
  ...(Object.keys(errorTable) as ErrorCode[]).filter(code => errorTable[code].group === 'image'),
  'BODY_TOO_LARGE',
  'INTERNAL',
]

/** With which Node's HTTP parser refuses what is no request. */
const unparsedCodes = [
  'REQUEST_MALFORMED',
  'HEADERS_TOO_LARGE',
  'REQUEST_TIMEOUT',
] as const satisfies readonly ErrorCode[]

export type UnparsedCode = (typeof unparsedCodes)[number]

/** What is counted of a request for predictions, and how all of it is read. */
export interface Metrics {
  /** Handed to serving, which tells it what happens to rows. */
  readonly observer: Observer
  /**
   * Starts the gauges, and sets every combination of labels to zero. Called once, when the models are loaded.
   *
   * @param batchDelay milliseconds
   */
  watch(service: Service, heldBytes: HeldBytes, batchDelay: number): void
  /**
   * @param model null where none was found
   * @param seconds from the receipt of the headers to the end of the answer
   */
  requestEnded(model: ServedModel | null, status: number, seconds: number): void
  encoded(model: ServedModel, seconds: number): void
  compared(model: ServedModel, same: boolean): void
  uploadRefused(): void
  /**
   * A request for predictions was refused before anything was made of it.
   *
   * @param model null where it was not looked for
   */
  requestShed(model: ServedModel | null, reason: ShedReason): void
  connectionRefused(): void
  /** The HTTP parser has refused what came. */
  unparsed(code: UnparsedCode): void
  readonly contentType: string
  /** The text that Prometheus scrapes. */
  render(): Promise<string>
}

/** Metrics with a registry of their own. Beside `family.ts`, this is the one module that knows prom-client. */
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

  const counters = (name: MetricName) => {
    const { help, name: full } = describe(name)
    return new Family(full, help, () => new Counter({ name: full, help, registers: [] }), registry)
  }
  const histograms = (name: MetricName) => {
    const { labelNames: _, ...described } = describe(name)
    const create = () => new Histogram({ ...described, registers: [] })
    return new Family(described.name, described.help, create, registry)
  }

  // What is counted for each request and row.
  const requests = counters('requests_total')
  const requestDurations = histograms('request_duration_seconds')
  const rowDurations = histograms('row_duration_seconds')
  const predictions = counters('predictions_total')

  const rowErrors = counter('row_errors_total')
  const rejections = counter('rejections_total')
  const refusedUploads = counter('refused_uploads_total')
  const refusedRequests = counters('refused_requests_total')
  const refusedConnections = counter('refused_connections_total')
  const unparsedRequests = counter('unparsed_requests_total')
  const comparedRows = counter('compared_rows_total')
  const batches = counter('batches_total')
  const batchRows = histogram('batch_rows')
  const batchMaxRows = new Gauge({ ...describe('batch_max_rows'), registers: [registry] })
  const retriedRows = counter('retried_rows_total')
  const lostWorkers = counter('lost_workers_total')
  const models = new Gauge({ ...describe('model_info'), registers: [registry] })
  /** Those whose series are there: a histogram that is set to zero forgets what it has seen. */
  const known = new Set<string>()
  const loaded = new Map<string, ServedModel>()
  const series = new WeakMap<ServedModel, ModelSeries>()
  const unknownModel = statusSeries(labelsOf(null))
  const shed = byName(shedReasons, reason => refusedRequests.with({ reason }))

  const observer: Observer = {
    row(model, times) {
      const series = seriesOf(model)
      for (const stage of rowStages) {
        const milliseconds = times[stage]
        if (milliseconds !== null) series.stages[stage].observe(milliseconds / 1000)
      }
      if (times.compute !== null || times.baseline !== null) series.predictions.inc()
    },
    batch(model, { rows, reason }) {
      batches.inc({ ...labelsOf(model), reason })
      batchRows.observe(labelsOf(model), rows)
    },
    rejected(model, reason, rows) {
      rejections.inc({ ...labelsOf(model), reason }, rows)
    },
    failed(model, code) {
      rowErrors.inc({ ...labelsOf(model), code })
    },
    workerLost(cause) {
      lostWorkers.inc({ cause })
    },
    retried(model, rows) {
      retriedRows.inc(labelsOf(model), rows)
    },
    loaded(model) {
      presetZeros(model)
      loaded.set(keyOf(model), model)
      batchMaxRows.set(labelsOf(model), model.maxRows)
      models.set({ ...labelsOf(model), digest: model.digest }, 1)
    },
    // What was counted stays: a counter that vanishes cannot be told from one that has started anew.
    unloaded(model) {
      const key = keyOf(model)
      const successor = loaded.get(key)
      // A swap can be of the baseline alone.
      if (successor === model || successor?.digest !== model.digest)
        models.remove({ ...labelsOf(model), digest: model.digest })
      if (successor !== model) return
      loaded.delete(key)
      batchMaxRows.remove(labelsOf(model))
    },
  }

  /** Looked up once a model: a swapped version goes on with the series of the one before. */
  function seriesOf(model: ServedModel): ModelSeries {
    const known = series.get(model)
    if (known !== undefined) return known
    const labels = labelsOf(model)
    const made: ModelSeries = {
      stages: byName(rowStages, stage => rowDurations.with({ ...labels, stage })),
      requests: statusSeries(labels),
      encode: requestDurations.with({ ...labels, stage: 'encode' }),
      total: requestDurations.with({ ...labels, stage: 'total' }),
      predictions: predictions.with(labels),
    }
    series.set(model, made)
    return made
  }

  function statusSeries(labels: ReturnType<typeof labelsOf>): ReadonlyMap<number, Counter> {
    return new Map(statuses.map(status => [status, requests.with({ ...labels, status: String(status) })]))
  }

  function presetZeros(model: ServedModel): void {
    seriesOf(model)
    const labels = labelsOf(model)
    const key = keyOf(model)
    if (known.has(key)) return
    known.add(key)
    for (const code of rowCodes) rowErrors.inc({ ...labels, code }, 0)
    for (const reason of rejectionReasons) rejections.inc({ ...labels, reason }, 0)
    for (const outcome of ['same', 'different']) comparedRows.inc({ ...labels, outcome }, 0)
    for (const reason of batchReasons) batches.inc({ ...labels, reason }, 0)
    batchRows.zero(labels)
    retriedRows.inc(labels, 0)
  }

  return {
    observer,
    watch(service, heldBytes, batchDelay) {
      gauge('batch_delay_seconds', () => batchDelay / 1000)
      new Gauge({
        ...describe('queue_rows'),
        registers: [registry],
        collect() {
          this.reset()
          // Of one version there may be two for a while: one that was swapped has rows to answer still.
          for (const [model, rows] of service.state().queuedRows()) this.inc(labelsOf(model), rows)
        },
      })
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
      for (const model of service.models()) observer.loaded(model)
      for (const cause of workerLossCauses) lostWorkers.inc({ cause }, 0)
      for (const code of unparsedCodes) unparsedRequests.inc({ code }, 0)
      new Gauge({ ...describe('build_info'), registers: [registry] }).set(
        { version, backend: service.backend, node: process.versions.node },
        1,
      )
    },
    requestEnded(model, status, seconds) {
      const known = model === null ? unknownModel : seriesOf(model).requests
      const counted = known.get(status) ?? requests.with({ ...labelsOf(model), status: String(status) })
      counted.inc()
      if (model !== null && status === 200) seriesOf(model).total.observe(seconds)
    },
    encoded(model, seconds) {
      seriesOf(model).encode.observe(seconds)
    },
    compared(model, same) {
      comparedRows.inc({ ...labelsOf(model), outcome: same ? 'same' : 'different' })
    },
    uploadRefused() {
      refusedUploads.inc()
    },
    requestShed(model, reason) {
      shed[reason].inc()
      const known = model === null ? unknownModel : seriesOf(model).requests
      known.get(503)!.inc()
    },
    connectionRefused() {
      refusedConnections.inc()
    },
    unparsed(code) {
      unparsedRequests.inc({ code })
    },
    contentType: registry.contentType,
    render: () => registry.metrics(),
  }
}

/** The series of one version of a model that are touched by each request. */
interface ModelSeries {
  readonly stages: Readonly<Record<(typeof rowStages)[number], Histogram>>
  readonly requests: ReadonlyMap<number, Counter>
  readonly encode: Histogram
  readonly total: Histogram
  readonly predictions: Counter
}

function byName<Name extends string, Value>(
  names: readonly Name[],
  of: (name: Name) => Value,
): Readonly<Record<Name, Value>> {
  return Object.fromEntries(names.map(name => [name, of(name)])) as Record<Name, Value>
}

function describe(name: MetricName) {
  const { help, labels, ...rest } = metricTable[name]
  const buckets = 'buckets' in rest ? { buckets: [...rest.buckets] } : {}
  return { name: `${prefix}${name}`, help, labelNames: [...labels] as string[], ...buckets }
}

function keyOf({ name, version }: ServedModel): string {
  return `${name}/${version}`
}

function labelsOf(model: ServedModel | null): { model: string; version: string } {
  return model === null ? { model: '', version: '' } : { model: model.name, version: String(model.version) }
}
