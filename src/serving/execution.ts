import { asXnordError, XnordError } from '../errors.ts'
import type { Holders } from './holders.ts'
import type { RowReply, RowsReply, RunMessage } from './messages.ts'
import type { LoadedModel } from './model.ts'
import type { WorkerPool } from './pool.ts'
import type { Batch, FairQueue, Flow, Lane } from './queue.ts'
import type { ServiceRate } from './rate.ts'
import type { PendingRequest, PendingRow } from './request.ts'
import type { Log, Observer, RejectionReason } from './types.ts'

export interface ExecutionOptions {
  readonly pool: Pick<WorkerPool, 'workers' | 'run' | 'decode'>
  readonly queue: FairQueue<PendingRow>
  readonly rate: ServiceRate
  /** Told who computes with a model. */
  readonly holders: Holders<LoadedModel>
  readonly observer: Observer
  readonly log: Log
}

/** The way of batches through the workers, and of answers back to their requests. */
export class Execution {
  readonly #pool: ExecutionOptions['pool']
  readonly #queue: FairQueue<PendingRow>
  readonly #rate: ServiceRate
  readonly #holders: Holders<LoadedModel>
  readonly #observer: Observer
  readonly #log: Log
  /** The arenas' slots that no batch uses: as many as there are workers. */
  readonly #slots: number[]
  #inFlight = 0

  constructor({ pool, queue, rate, holders, observer, log }: ExecutionOptions) {
    this.#pool = pool
    this.#queue = queue
    this.#rate = rate
    this.#holders = holders
    this.#observer = observer
    this.#log = log
    this.#slots = Array.from({ length: pool.workers }, (_, slot) => slot)
  }

  /** Cost of all that workers compute at this moment. */
  get inFlightRows(): number {
    return this.#inFlight
  }

  /** Resolves when the batch's worker is free again. Whatever fails is dealt with here. */
  run(batch: Batch<PendingRow>): Promise<void> {
    const rows = this.#unexpired(batch)
    if (rows.length === 0) return Promise.resolve()
    return batch.lane.returning ? this.#decode(rows[0], batch) : this.#compute(rows, batch)
  }

  /** The row fails alone, in its place. */
  fail(row: PendingRow, error: XnordError, decode: number): void {
    if (error.code === 'INTERNAL') this.#log.error({ err: error }, 'a row failed by a bug')
    if (row.request.settled) return
    const { served } = row.request.model
    this.#observer.row(served, { queue: row.queued, decode, compute: null, baseline: null })
    this.#observer.failed(served, error.code)
    row.request.answer(row.index, { ok: false, error: error.data })
  }

  /**
   * Fails a whole request: what of it waits is dropped, what is being computed will find nobody.
   *
   * @param taken rows of it that have left the queue, and are dropped with it
   */
  end(request: PendingRequest, error: XnordError, taken = 0): void {
    if (!request.fail(error)) return
    const dropped = taken + this.#queue.remove(request.flow, request.rows)
    const { served } = request.model
    if (dropped > 0) this.#observer.rejected(served, error.code as RejectionReason, dropped)
  }

  /** Of a request on a flow: what it is told when its deadline cannot be met. */
  tooLate(flow: Flow<PendingRow>, detail: string): XnordError {
    return new XnordError('DEADLINE_EXCEEDED', detail, {
      retryAfter: this.retryAfter(this.#queue.workAhead(flow)),
    })
  }

  /** Whole seconds, at least 1, in which so many word operations will have been done. */
  retryAfter(work: number): number {
    return Math.max(1, Math.ceil(this.#rate.secondsFor(work)))
  }

  /** Of rows that are to leave, those for which somebody waits still: under load a deadline's timer may be late. */
  #unexpired({ items, lane }: Batch<PendingRow>): readonly PendingRow[] {
    const now = performance.now()
    const unexpired = items.filter(({ request }) => request.deadline > now)
    if (unexpired.length < items.length) {
      const error = ({ flow }: PendingRequest) => this.tooLate(flow, 'The deadline passed in the queue.')
      this.#endEach(({ request }) => request.deadline <= now, items, lane.returning, error)
    }
    return unexpired
  }

  /**
   * Ends the requests of the rows of a batch that are so.
   *
   * @param away whether the queue still counts the batch's rows
   */
  #endEach(
    isSo: (row: PendingRow) => boolean,
    rows: readonly PendingRow[],
    away: boolean,
    error: (request: PendingRequest) => XnordError,
  ): void {
    for (const request of new Set(rows.filter(isSo).map(row => row.request))) {
      const taken = away ? 0 : rows.filter(row => row.request === request).length
      this.end(request, error(request), taken)
    }
  }

  async #decode(row: PendingRow, { flow, lane }: Batch<PendingRow>): Promise<void> {
    const start = performance.now()
    row.queued += start - row.waitingSince
    try {
      const bytes = new Uint8Array(row.row.bytes).buffer
      const reply = await this.#pool.decode({ input: row.request.model.spec.input, bytes })
      row.row = { kind: 'pixels', bytes: reply.pixels }
      row.decoded += reply.decode
      row.waitingSince = performance.now()
      this.#queue.comeBack(flow, row, row.request.lane)
    } catch (thrown) {
      const error = asXnordError(thrown)
      if (error.code === 'WORKER_LOST') this.#lose([row], lane, error)
      else {
        this.#queue.remove(flow, [row])
        this.fail(row, error, row.decoded + performance.now() - start)
      }
    }
    const seconds = (performance.now() - start) / 1000
    this.#queue.charge(flow, this.#rate.workIn(seconds))
    this.#rate.record(0, seconds)
  }

  async #compute(rows: readonly PendingRow[], { reason }: Batch<PendingRow>): Promise<void> {
    const start = performance.now()
    const [{ request }] = rows
    const cost = rows.reduce((sum, row) => sum + row.cost, 0)
    const work = rows.reduce((sum, row) => sum + row.work, 0)
    const slot = this.#slots.pop()!
    // A request may end before its rows' batch comes back.
    const letGo = this.#holders.hold(request.model)
    for (const row of rows) row.queued += start - row.waitingSince
    this.#inFlight += cost
    try {
      const reply = await this.#ask(rows, slot)
      const compute = (reply.compute ?? 0) + (reply.baseline ?? 0)
      this.#observer.batch(request.model.served, { rows: rows.length, reason, compute })
      this.#deliver(rows, reply)
      this.#rate.record(work, (performance.now() - start) / 1000)
    } catch (thrown) {
      const error = asXnordError(thrown)
      if (error.code === 'WORKER_LOST') this.#lose(rows, null, error)
      else for (const row of rows) this.fail(row, error, row.decoded)
    } finally {
      letGo()
      this.#inFlight -= cost
      this.#slots.push(slot)
    }
  }

  async #ask(rows: readonly PendingRow[], slot: number): Promise<RowsReply> {
    const { model, members, networks, layers } = rows[0].request
    const { spec } = model
    const message = (): Omit<RunMessage, 'spec'> => ({
      model: spec.id,
      slot,
      members,
      networks,
      layers,
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
    let answered = 0
    rows.forEach((row, position) => {
      const rowReply = reply.rows[position]
      const decode = row.decoded + rowReply.decode
      if (rowReply.ok) this.#answer(row, rowReply, decode, reply, answered++, computed)
      else this.fail(row, new XnordError(rowReply.error.code, rowReply.error.detail), decode)
    })
  }

  #answer(
    row: PendingRow,
    { prediction, baseline }: Extract<RowReply, { readonly ok: true }>,
    decode: number,
    batch: RowsReply,
    place: number,
    computed: number,
  ): void {
    if (row.request.settled) return
    const times = {
      queue: row.queued,
      decode,
      compute: shareOf(batch.compute, computed),
      baseline: shareOf(batch.baseline, computed),
    }
    this.#observer.row(row.request.model.served, times)
    const layers = batch.layers.map(all => {
      const bytes = all.length / computed
      return all.subarray(place * bytes, (place + 1) * bytes)
    })
    row.request.answer(row.index, { ok: true, prediction, baseline, layers, times })
  }

  /**
   * A worker took these rows with it. They go back to the queue at their age, for another worker; those to which it
   * happens a second time fail their requests.
   *
   * @param lane from which they left, if they are away and will come back
   */
  #lose(rows: readonly PendingRow[], lane: Lane | null, error: XnordError): void {
    this.#endEach(
      row => row.retried,
      rows,
      lane !== null,
      () => error,
    )
    const again = rows.filter(({ request }) => !request.settled)
    this.#log.error({ err: error, rows: rows.length, retried: again.length }, 'a batch was lost')
    if (again.length === 0) return
    for (const row of again) this.#retry(row, lane)
    this.#observer.retried(again[0].request.model.served, again.length)
  }

  #retry(row: PendingRow, lane: Lane | null): void {
    const { request } = row
    row.retried = true
    row.waitingSince = performance.now()
    if (lane === null) this.#queue.putBack(request.flow, row, request.retryLane)
    else this.#queue.comeBack(request.flow, row, lane)
  }
}

function shareOf(milliseconds: number | null, rows: number): number | null {
  return milliseconds === null ? null : milliseconds / rows
}

/** All rows' bytes behind one another. */
function pack(rows: readonly PendingRow[]): Pick<RunMessage, 'bytes' | 'rows'> {
  const bytes = new Uint8Array(rows.reduce((sum, { row }) => sum + row.bytes.length, 0))
  let offset = 0
  for (const { row } of rows) {
    bytes.set(row.bytes, offset)
    offset += row.bytes.length
  }
  return {
    bytes: bytes.buffer,
    rows: rows.map(({ row }) => (row.kind === 'file' ? -row.bytes.length : row.bytes.length)),
  }
}
