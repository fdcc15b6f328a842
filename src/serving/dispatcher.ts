import { asXnordError, XnordError } from '../errors.ts'
import { Bag } from './bag.ts'
import { Batcher, type Gather } from './batcher.ts'
import { Execution } from './execution.ts'
import type { Holders } from './holders.ts'
import type { LoadedModel } from './model.ts'
import type { WorkerPool } from './pool.ts'
import { FairQueue, Flow, requireBelow } from './queue.ts'
import { handOver, ServiceRate } from './rate.ts'
import { PendingRequest, type PendingRow, rowCost } from './request.ts'
import { type Screened, screen } from './screening.ts'
import type { Log, Observer, PredictRequest, RejectionReason, RowAnswer, ServedModel } from './types.ts'

export interface DispatcherOptions {
  readonly pool: Pick<WorkerPool, 'workers' | 'alive' | 'run' | 'decode'>
  /** Told who computes or will compute with a model. */
  readonly holders: Holders<LoadedModel>
  /** For each model. */
  readonly queueRows: number
  /** Milliseconds. */
  readonly batchDelay: number
  readonly gather: Gather
  readonly maxPixels: number
  readonly observer: Observer
  readonly log: Log
}

/** The longest delay that `setTimeout` takes, 25 days; it makes more of it one millisecond. */
const longestTimeout = 2 ** 31 - 1

/** Takes requests in, or turns them away, and watches over them until they have their answers. */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #rate: ServiceRate
  readonly #queue = new FairQueue<PendingRow>(handOver)
  readonly #batcher: Batcher<PendingRow>
  readonly #execution: Execution
  readonly #flows = new WeakMap<LoadedModel, Flow<PendingRow>>()
  readonly #pending = new Bag<PendingRequest>()
  #draining = false

  constructor(options: DispatcherOptions) {
    const { workers } = options.pool
    this.#options = options
    this.#rate = new ServiceRate(workers)
    this.#execution = new Execution({ ...options, queue: this.#queue, rate: this.#rate })
    this.#batcher = new Batcher(this.#queue, workers, batch => this.#execution.run(batch), options.gather)
  }

  /** Whether rows are taken. */
  get ready(): boolean {
    return !this.#draining && this.#options.pool.alive
  }

  /** Cost of all that waits. */
  get queuedRows(): number {
    return this.#queue.cost
  }

  /** The same by model, of those for which somebody waits. */
  get queuedRowsByModel(): ReadonlyMap<ServedModel, number> {
    return new Map(Array.from(this.#pending.items(), ({ model, flow }) => [model.served, flow.cost]))
  }

  /** Cost of all that workers compute at this moment. */
  get inFlightRows(): number {
    return this.#execution.inFlightRows
  }

  /**
   * @throws QUEUE_FULL, REQUEST_TOO_LARGE_FOR_QUEUE, DEADLINE_EXCEEDED, CLIENT_GONE, WORKER_LOST, NOT_READY,
   *   SHUTTING_DOWN
   */
  async predict(model: LoadedModel, request: PredictRequest): Promise<readonly RowAnswer[]> {
    if (request.rows.length === 0) return []
    const pending = this.#take(model, request)
    const place = this.#pending.add(pending)
    const letGo = this.#options.holders.hold(model)
    const unwatch = this.#watch(pending, request)
    this.#batcher.wake()
    try {
      return await pending.answers
    } finally {
      unwatch()
      letGo()
      this.#pending.remove(place)
    }
  }

  /** See `Service`. */
  secondsToRoom(model: LoadedModel): number {
    const flow = this.#flows.get(model)
    if (flow === undefined || flow.cost < flow.limit) return 0
    return this.#execution.retryAfter(this.#queue.workAhead(flow) / flow.cost)
  }

  /** Does a task that takes one worker from the batches until it is over. */
  occupy(task: () => Promise<void>): Promise<void> {
    return this.#batcher.occupy(task)
  }

  /**
   * Takes no more rows, and waits until all that were admitted have their answers.
   *
   * @param limit milliseconds after which what still waits is turned away
   */
  async drain(limit: number): Promise<void> {
    this.#draining = true
    const timer = setTimeout(() => {
      for (const pending of this.#pending.items()) {
        this.#execution.end(pending, shuttingDown('The service ended before the answer.'))
      }
    }, limit)
    await this.#batcher.idle()
    clearTimeout(timer)
  }

  /** Takes the rows into the queue, or counts them as turned away, and throws. */
  #take(model: LoadedModel, request: PredictRequest): PendingRequest {
    const { batchDelay, maxPixels, queueRows } = this.#options
    try {
      // Before anything is made of the rows: hopeless ones cost the queue nothing, but they are work.
      requireBelow(queueRows, request.rows.length * rowCost(request))
      const pending = new PendingRequest(model, this.#flowOf(model), request, batchDelay)
      const { admitted, refused } = screen(pending, maxPixels)
      this.#admit(pending, admitted, request)
      for (const { row, error } of refused) this.#execution.fail(row, error, row.decoded)
      return pending
    } catch (thrown) {
      const error = asXnordError(thrown)
      this.#options.observer.rejected(model.served, error.code as RejectionReason, request.rows.length)
      throw error
    }
  }

  #flowOf(model: LoadedModel): Flow<PendingRow> {
    const flow = this.#flows.get(model) ?? new Flow(this.#options.queueRows)
    this.#flows.set(model, flow)
    return flow
  }

  #admit({ flow }: PendingRequest, items: Screened['admitted'], request: PredictRequest): void {
    const { signal, deadline } = request
    if (this.#draining) throw shuttingDown('The service takes no new rows.')
    if (!this.#options.pool.alive) throw new XnordError('NOT_READY', 'No worker is left.', { retryAfter: 1 })
    if (signal?.aborted) throw clientGone()
    const work = this.#queue.workAhead(flow)
    if (deadline !== undefined && deadline <= performance.now() + 1000 * this.#rate.secondsFor(work)) {
      throw this.#execution.tooLate(flow, 'The deadline cannot be met.')
    }
    this.#queue.admit(flow, items, excess => this.#execution.retryAfter((work * excess) / flow.cost))
  }

  /** Ends the request when its client goes or its deadline passes. Returns what stops watching. */
  #watch(pending: PendingRequest, { signal }: PredictRequest): () => void {
    const gone = () => this.#execution.end(pending, clientGone())
    const late = () =>
      this.#execution.end(
        pending,
        this.#execution.tooLate(pending.flow, 'The deadline passed before the answer.'),
      )
    signal?.addEventListener('abort', gone)
    const delay = pending.deadline - performance.now()
    const timer = delay <= longestTimeout ? setTimeout(late, delay) : undefined
    return () => {
      signal?.removeEventListener('abort', gone)
      clearTimeout(timer)
    }
  }
}

function shuttingDown(detail: string): XnordError {
  return new XnordError('SHUTTING_DOWN', detail, { retryAfter: 1 })
}

function clientGone(): XnordError {
  return new XnordError('CLIENT_GONE', 'The client has gone.')
}
