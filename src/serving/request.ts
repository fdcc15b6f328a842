import type { XnordError } from '../errors.ts'
import type { LoadedModel } from './model.ts'
import type { Lane, QueueItem } from './queue.ts'
import type { PredictRequest, Row, RowAnswer } from './types.ts'

/** A row of a request on its way from admission to its answer. */
export class PendingRow implements QueueItem {
  readonly request: PendingRequest
  /** Its place in the request. */
  readonly index: number
  readonly cost: number
  /** The image file, or pixels once it has been decoded in a task of its own. */
  row: Row
  /** Milliseconds: spent waiting, and being looked at or decoded ahead of its batch. */
  queued = 0
  decoded = 0
  /** When it began to wait, on the clock of `performance.now()`. */
  waitingSince = 0

  constructor(request: PendingRequest, index: number, row: Row, cost: number) {
    this.request = request
    this.index = index
    this.row = row
    this.cost = cost
  }
}

/** A request that was admitted: it collects its rows' answers, and settles once, by the last of them or by an error. */
export class PendingRequest {
  readonly model: LoadedModel
  readonly members: number
  readonly baseline: boolean
  /** The lane in which its rows wait for their computation. */
  readonly lane: Lane
  readonly rows: readonly PendingRow[]
  readonly answers: Promise<readonly RowAnswer[]>
  readonly #answers: (RowAnswer | undefined)[]
  #missing: number
  #settle: {
    readonly resolve: (answers: readonly RowAnswer[]) => void
    readonly reject: (error: XnordError) => void
  } | null = null

  /** @param baselineCost what the baseline adds to the cost of each row */
  constructor(model: LoadedModel, { members, baseline, rows }: PredictRequest, baselineCost: number) {
    this.model = model
    this.rows = rows.map((row, index) => new PendingRow(this, index, row, members + baselineCost))
    this.members = members
    this.baseline = baseline
    this.lane = {
      key: `${model.spec.id}/${members}/${baseline}`,
      maxItems: model.served.maxRows,
      returning: false,
    }
    this.#answers = rows.map(() => undefined)
    this.#missing = rows.length
    this.answers = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
  }

  /** Nobody waits for more: it has its last answer, or has failed. */
  get settled(): boolean {
    return this.#settle === null
  }

  answer(index: number, answer: RowAnswer): void {
    this.#answers[index] = answer
    this.#missing--
    if (this.#missing > 0) return
    this.#settle?.resolve(this.#answers as readonly RowAnswer[])
    this.#settle = null
  }

  /** False if it had settled already. */
  fail(error: XnordError): boolean {
    if (this.#settle === null) return false
    this.#settle.reject(error)
    this.#settle = null
    return true
  }
}
