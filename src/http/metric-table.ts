import { errorTable } from '../errors.ts'

/** One family of metrics, without the prefix `xnord_`. */
export interface MetricEntry {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  /** Upper bounds of a histogram's buckets, in its unit. */
  readonly buckets?: readonly number[]
}

/** Seconds. A row of LeNet takes tens of microseconds, a queue that is nearly full most of a second. */
const durations = [0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]

const model = ['model', 'version'] as const

/** Every family of ours. `docs/metrics.md` is generated from this table. */
export const metricTable = {
  requests_total: {
    type: 'counter',
    help: 'Requests for predictions, by the status of their answer; 499 is a client that hung up. The model is empty where none was found.',
    labels: [...model, 'status'],
  },
  request_duration_seconds: {
    type: 'histogram',
    help: 'One observation a request that was answered with 200: "encode" is the writing of the answer, "total" runs from the receipt of the headers to the end of the answer.',
    labels: [...model, 'stage'],
    buckets: durations,
  },
  row_duration_seconds: {
    type: 'histogram',
    help: 'One observation a row: "queue" is its wait, "decode" its own decoding, "compute", of the discrete network, and "baseline", where they were asked, are those of its batch divided by the rows of the batch.',
    labels: [...model, 'stage'],
    buckets: durations,
  },
  predictions_total: { type: 'counter', help: 'Rows answered with a prediction.', labels: model },
  row_errors_total: {
    type: 'counter',
    help: 'Rows answered with an error of their own, by its code.',
    labels: [...model, 'code'],
  },
  rejections_total: {
    type: 'counter',
    help: 'Rows turned away or dropped before they were computed, by reason.',
    labels: [...model, 'reason'],
  },
  refused_uploads_total: {
    type: 'counter',
    help: 'Requests refused while they arrived, since XNORD_MAX_HELD_BYTES was reached.',
    labels: [],
  },
  refused_requests_total: {
    type: 'counter',
    help: 'Requests for predictions refused unread: "OVERLOADED", since the main thread was behind by XNORD_MAX_LAG, or "QUEUE_FULL".',
    labels: ['reason'],
  },
  refused_connections_total: {
    type: 'counter',
    help: 'Connections closed at once, since XNORD_MAX_CONNECTIONS was reached.',
    labels: [],
  },
  unparsed_requests_total: {
    type: 'counter',
    help: 'Requests that are not valid HTTP, or did not arrive in time, by the code of their refusal.',
    labels: ['code'],
  },
  compared_rows_total: {
    type: 'counter',
    help: 'Rows answered by the discrete network and the baseline both, by whether their first classes are the same.',
    labels: [...model, 'outcome'],
  },
  batches_total: {
    type: 'counter',
    help: 'Batches that workers have finished, by why they left: "full", or a "worker" was free and took its share of what waited, or their oldest row had waited for XNORD_BATCH_DELAY ("delay").',
    labels: [...model, 'reason'],
  },
  batch_rows: {
    type: 'histogram',
    help: 'Rows of a batch.',
    labels: model,
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
  },
  batch_max_rows: { type: 'gauge', help: 'Rows that a batch takes at most.', labels: model },
  batch_delay_seconds: {
    type: 'gauge',
    help: 'Seconds for which rows may be held back so that others can join their batch: XNORD_BATCH_DELAY.',
    labels: [],
  },
  retried_rows_total: {
    type: 'counter',
    help: 'Rows that were handed to another worker after theirs had died.',
    labels: model,
  },
  queue_rows: {
    type: 'gauge',
    help: 'Rows that wait, each counted once a member (and at its cost for the baseline).',
    labels: model,
  },
  in_flight_rows: {
    type: 'gauge',
    help: 'Rows that workers have in hand, counted as those that wait.',
    labels: [],
  },
  held_bytes: { type: 'gauge', help: 'Bytes of request bodies held in memory.', labels: [] },
  workers: { type: 'gauge', help: 'Worker threads.', labels: [] },
  busy_workers: { type: 'gauge', help: 'Worker threads that have a task in hand.', labels: [] },
  lost_workers_total: {
    type: 'counter',
    help: 'Worker threads that have died and were replaced, by cause: "memory", "exit" or "error".',
    labels: ['cause'],
  },
  worker_busy_seconds_total: {
    type: 'counter',
    help: 'Seconds that workers have spent on tasks, all workers together.',
    labels: [],
  },
  ready: { type: 'gauge', help: '1 while the service takes requests, else 0.', labels: [] },
  model_info: {
    type: 'gauge',
    help: 'Always 1; the labels say which models are loaded, and the SHA-256 of each.',
    labels: [...model, 'digest'],
  },
  build_info: {
    type: 'gauge',
    help: 'Always 1; the labels say which xnord this is, its kernels and its Node.js.',
    labels: ['version', 'backend', 'node'],
  },
} as const satisfies Record<string, MetricEntry>

export type MetricName = keyof typeof metricTable

/** Every status with which a request for predictions can end. */
export const statuses: readonly number[] = [
  ...new Set([
    200,
    ...Object.values(errorTable)
      .filter(({ group }) => group === 'request' || group === 'image' || group === 'service')
      .map(({ status }) => status),
  ]),
].sort((a, b) => a - b)
