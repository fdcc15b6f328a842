import { asXnordError, XnordError } from '../errors.ts'
import { probeImage } from '../images/probe.ts'
import { Batcher } from './batcher.ts'
import type { Holders } from './holders.ts'
import type { RowBytes, RowReply, RowsReply, RunMessage } from './messages.ts'
import type { LoadedModel } from './model.ts'
import type { WorkerPool } from './pool.ts'
import { AdmissionQueue, type Batch, type Lane } from './queue.ts'
import { ServiceRate } from './rate.ts'
import { PendingRequest, type PendingRow } from './request.ts'
import type { Log, Observer, PredictRequest, RejectionReason, Row, RowAnswer } from './types.ts'

export interface DispatcherOptions {
  readonly pool: Pick<WorkerPool, 'workers' | 'alive' | 'run' | 'decode'>
  /** Told who computes or will compute with a model. */
  readonly holders: Holders<LoadedModel>
  readonly queueRows: number
  readonly maxPixels: number
  readonly observer: Observer
  readonly log: Log
}

/** Images beyond either are decoded in a task of their own, so that they hold up nobody's batch. */
const ownTaskPixels = 2 ** 16
const ownTaskBytes = 2 ** 20

/** In rows × members. On a LeNet the baseline takes 75 µs a row, about as long as one member. */
const baselineCost = 1

/** The longest delay that `setTimeout` takes, 25 days; it makes more of it one millisecond. */
const longestTimeout = 2 ** 31 - 1

interface Placed {
  readonly item: PendingRow
  readonly lane: Lane
}

const decodeLane: Lane = { key: 'decode', maxItems: 1, returning: true }

/** A request's way through queue, batches and workers, and the answers' way back. */
export class Dispatcher {
  readonly #pool: DispatcherOptions['pool']
  readonly #holders: Holders<LoadedModel>
  readonly #maxPixels: number
  readonly #observer: Observer
  readonly #log: Log
  readonly #rate: ServiceRate
  readonly #queue: AdmissionQueue<PendingRow>
  readonly #batcher: Batcher<PendingRow>
  readonly #pending = new Set<PendingRequest>()
  /** The arenas' slots that no batch uses: as many as there are workers. */
  readonly #slots: number[]
  #inFlight = 0
  #draining = false

  constructor({ pool, holders, queueRows, maxPixels, observer, log }: DispatcherOptions) {
    this.#pool = pool
    this.#holders = holders
    this.#maxPixels = maxPixels
    this.#observer = observer
    this.#log = log
    this.#rate = new ServiceRate(pool.workers)
    this.#queue = new AdmissionQueue(queueRows, cost => this.#rate.secondsFor(cost))
    this.#batcher = new Batcher(this.#queue, pool.workers, batch =>
      batch.lane.returning ? this.#decode(batch.items[0]) : this.#compute(batch),
    )
    this.#slots = Array.from({ length: pool.workers }, (_, slot) => slot)
  }

  /** Whether rows are taken. */
  get ready(): boolean {
    return !this.#draining && this.#pool.alive
  }

  /** Cost of all that waits. */
  get queuedRows(): number {
    return this.#queue.cost
  }

  /** Cost of all that workers compute at this moment. */
  get inFlightRows(): number {
    return this.#inFlight
  }

  /**
   * @throws QUEUE_FULL, REQUEST_TOO_LARGE_FOR_QUEUE, DEADLINE_EXCEEDED, CLIENT_GONE, WORKER_LOST, NOT_READY,
   *   SHUTTING_DOWN
   */
  async predict(model: LoadedModel, request: PredictRequest): Promise<readonly RowAnswer[]> {
    if (request.rows.length === 0) return []
    const pending = new PendingRequest(model, request, request.baseline ? baselineCost : 0)
    const { admitted, refused } = this.#sort(pending)
    this.#admit(admitted, request)
    this.#pending.add(pending)
    const letGo = this.#holders.hold(model)
    for (const { row, error } of refused) this.#fail(row, error, row.decoded)
    const unwatch = this.#watch(pending, request)
    this.#batcher.wake()
    try {
      return await pending.answers
    } finally {
      unwatch()
      letGo()
      this.#pending.delete(pending)
    }
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
      for (const pending of this.#pending) {
        this.#end(pending, shuttingDown('The service ended before the answer.'))
      }
    }, limit)
    await this.#batcher.idle()
    clearTimeout(timer)
  }

  /** Looks at each row without decoding it: which go into which lane, and which are hopeless. */
  #sort(pending: PendingRequest): {
    readonly admitted: readonly Placed[]
    readonly refused: readonly { readonly row: PendingRow; readonly error: XnordError }[]
  } {
    const admitted: Placed[] = []
    const refused: { readonly row: PendingRow; readonly error: XnordError }[] = []
    for (const row of pending.rows) {
      const start = performance.now()
      try {
        const needsOwnTask = this.#probe(row.row, pending.model)
        admitted.push({ item: row, lane: needsOwnTask ? decodeLane : pending.lane })
      } catch (thrown) {
        refused.push({ row, error: asXnordError(thrown) })
      }
      row.waitingSince = performance.now()
      row.decoded = row.waitingSince - start
    }
    return { admitted, refused }
  }

  /**
   * Looks at a row without decoding it.
   *
   * @returns whether it is to be decoded in a task of its own
   * @throws PIXELS_LENGTH, IMAGE_*
   */
  #probe({ kind, bytes }: Row, model: LoadedModel): boolean {
    if (kind === 'pixels') {
      const { rowBytes } = model.spec.plan
      if (bytes.length === rowBytes) return false
      throw new XnordError(
        'PIXELS_LENGTH',
        `The row has ${bytes.length} bytes, and the model takes ${rowBytes}.`,
      )
    }
    const { width, height } = probeImage(bytes, this.#maxPixels)
    return width * height > ownTaskPixels || bytes.length > ownTaskBytes
  }

  #admit(items: readonly Placed[], { model, rows, signal, deadline }: PredictRequest): void {
    try {
      if (this.#draining) throw shuttingDown('The service takes no new rows.')
      if (!this.#pool.alive) throw new XnordError('NOT_READY', 'No worker is left.', { retryAfter: 1 })
      if (signal?.aborted) throw clientGone()
      if (deadline !== undefined && deadline <= performance.now()) throw this.#tooLate()
      this.#queue.admit(items)
    } catch (thrown) {
      const error = asXnordError(thrown)
      this.#observer.rejected(model, error.code as RejectionReason, rows.length)
      throw error
    }
  }

  /** Ends the request when its client goes or its deadline passes. Returns what stops watching. */
  #watch(pending: PendingRequest, { signal, deadline }: PredictRequest): () => void {
    const gone = () => this.#end(pending, clientGone())
    signal?.addEventListener('abort', gone)
    const delay = (deadline ?? Number.POSITIVE_INFINITY) - performance.now()
    const timer =
      delay <= longestTimeout ? setTimeout(() => this.#end(pending, this.#tooLate()), delay) : undefined
    return () => {
      signal?.removeEventListener('abort', gone)
      clearTimeout(timer)
    }
  }

  /** Fails a whole request: what of it waits is dropped, what is being computed will find nobody. */
  #end(pending: PendingRequest, error: XnordError): void {
    if (!pending.fail(error)) return
    const dropped = this.#queue.remove(pending.rows)
    if (dropped > 0) this.#observer.rejected(pending.model.served, error.code as RejectionReason, dropped)
  }

  async #decode(row: PendingRow): Promise<void> {
    const start = performance.now()
    row.queued += start - row.waitingSince
    try {
      const bytes = new Uint8Array(row.row.bytes).buffer
      const reply = await this.#pool.decode({ input: row.request.model.spec.input, bytes })
      row.row = { kind: 'pixels', bytes: reply.pixels }
      row.decoded += reply.decode
      row.waitingSince = performance.now()
      this.#queue.comeBack(row, row.request.lane)
    } catch (thrown) {
      const error = asXnordError(thrown)
      if (error.code === 'WORKER_LOST') this.#lose([row], error)
      else {
        this.#queue.remove([row])
        this.#fail(row, error, row.decoded + performance.now() - start)
      }
    }
    this.#rate.record(0, (performance.now() - start) / 1000)
  }

  async #compute({ items: rows, reason }: Batch<PendingRow>): Promise<void> {
    const start = performance.now()
    const cost = rows.reduce((sum, row) => sum + row.cost, 0)
    const slot = this.#slots.pop()!
    // A request may end before its rows' batch comes back.
    const letGo = this.#holders.hold(rows[0].request.model)
    for (const row of rows) row.queued += start - row.waitingSince
    this.#inFlight += cost
    try {
      const reply = await this.#ask(rows, slot)
      this.#observer.batch(rows[0].request.model.served, { rows: rows.length, reason })
      this.#deliver(rows, reply)
      this.#rate.record(cost, (performance.now() - start) / 1000)
    } catch (thrown) {
      const error = asXnordError(thrown)
      if (error.code === 'WORKER_LOST') this.#lose(rows, error)
      else for (const row of rows) this.#fail(row, error, row.decoded)
    } finally {
      letGo()
      this.#inFlight -= cost
      this.#slots.push(slot)
    }
  }

  async #ask(rows: readonly PendingRow[], slot: number): Promise<RowsReply> {
    const { model, members, baseline } = rows[0].request
    const { spec } = model
    const message = (): Omit<RunMessage, 'spec'> => ({
      model: spec.id,
      slot,
      members,
      baseline,
      ...pack(rows),
    })
    const reply = await this.#pool.run({ ...message(), spec: null })
    if (reply.kind === 'rows') return reply
    // The bytes went to the worker with the first message: they are packed anew.
    const { name, version } = model.served
    this.#log.info({ model: name, version }, 'a new worker opens the model')
    const second = await this.#pool.run({ ...message(), spec })
    if (second.kind === 'rows') return second
    throw new XnordError('INTERNAL', 'A worker that was given the model does not know it.')
  }

  #deliver(rows: readonly PendingRow[], reply: RowsReply): void {
    const computed = reply.rows.filter(row => row.ok).length
    rows.forEach((row, position) => {
      const rowReply = reply.rows[position]
      const decode = row.decoded + rowReply.decode
      if (rowReply.ok) this.#answer(row, rowReply, decode, reply, computed)
      else this.#fail(row, new XnordError(rowReply.error.code, rowReply.error.detail), decode)
    })
  }

  #answer(
    row: PendingRow,
    { prediction, baseline }: Extract<RowReply, { readonly ok: true }>,
    decode: number,
    batch: RowsReply,
    computed: number,
  ): void {
    if (row.request.settled) return
    const times = {
      queue: row.queued,
      decode,
      compute: batch.compute / computed,
      baseline: batch.baseline === null ? null : batch.baseline / computed,
    }
    this.#observer.row(row.request.model.served, times)
    row.request.answer(row.index, { ok: true, prediction, baseline, times })
  }

  /** The row fails alone, in its place. */
  #fail(row: PendingRow, error: XnordError, decode: number): void {
    if (error.code === 'INTERNAL') this.#log.error({ err: error }, 'a row failed by a bug')
    if (row.request.settled) return
    const { served } = row.request.model
    this.#observer.row(served, { queue: row.queued, decode, compute: null, baseline: null })
    this.#observer.failed(served, error.code)
    row.request.answer(row.index, { ok: false, error: error.data })
  }

  /** A worker took these rows with it: their requests fail, and no others. */
  #lose(rows: readonly PendingRow[], error: XnordError): void {
    this.#log.error({ err: error, rows: rows.length }, 'a batch was lost')
    for (const row of rows) {
      const { request } = row
      if (!request.settled) this.#observer.rejected(request.model.served, 'WORKER_LOST', 1)
      // A row in decoding is still held by the queue; #end would count it once more.
      this.#queue.remove([row])
    }
    for (const { request } of rows) this.#end(request, error)
  }

  #tooLate(): XnordError {
    return new XnordError('DEADLINE_EXCEEDED', 'The deadline passed before the answer.', {
      retryAfter: this.#rate.secondsFor(this.#queue.cost),
    })
  }
}

function shuttingDown(detail: string): XnordError {
  return new XnordError('SHUTTING_DOWN', detail, { retryAfter: 1 })
}

function clientGone(): XnordError {
  return new XnordError('CLIENT_GONE', 'The client has gone.')
}

/** All rows' bytes behind one another. */
function pack(rows: readonly PendingRow[]): {
  readonly bytes: ArrayBuffer
  readonly rows: readonly RowBytes[]
} {
  const bytes = new Uint8Array(rows.reduce((sum, { row }) => sum + row.bytes.length, 0))
  let offset = 0
  const packed = rows.map(({ row: { kind, bytes: own } }) => {
    bytes.set(own, offset)
    const place = { kind, offset, length: own.length }
    offset += own.length
    return place
  })
  return { bytes: bytes.buffer, rows: packed }
}
