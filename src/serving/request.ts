import type { XnordError } from '../errors.ts'
import type { LoadedModel } from './model.ts'
import type { Flow, Lane, QueueItem } from './queue.ts'
import type { Networks, PredictRequest, Row, RowAnswer } from './types.ts'

/** In rows × members, as limits count it. On a LeNet the baseline takes 75 µs a row, about as long as one member. */
const baselineRows = 1

/**
 * In the word operations of one member. Of 512 bits, 8 word operations take three instructions (xor, popcount, add), and
 * their 512 multiply-adds as floats take 32.
 */
const baselineWork = 32 / 3

type Asked = Pick<PredictRequest, 'members' | 'networks'>

/** In rows × members, of one row. */
export function rowCost(asked: Asked): number {
  return membersOf(asked) + (asked.networks === 'discrete' ? 0 : baselineRows)
}

/** Of the discrete network, those that compute. */
function membersOf({ members, networks }: Asked): number {
  return networks === 'baseline' ? 0 : members
}

/** A row of a request on its way from admission to its answer. */
export class PendingRow implements QueueItem {
  readonly request: PendingRequest
  /** Its place in the request. */
  readonly index: number
  readonly cost: number
  readonly work: number
  /** The image file, or pixels once it has been decoded in a task of its own. */
  row: Row
  /** Milliseconds: spent waiting, and being looked at or decoded ahead of its batch. */
  queued = 0
  decoded = 0
  /** When it began to wait, on the clock of `performance.now()`. */
  waitingSince = 0
  /** A worker has died with it. */
  retried = false
  ticket = 0
  waitsIn: Lane | null = null

  constructor(request: PendingRequest, index: number, row: Row) {
    const { members, networks, layers, model } = request
    this.request = request
    this.index = index
    this.row = row
    this.cost = rowCost(request)
    const runs = layers.length === 0 ? members : 2 * members
    this.work = (runs + (networks === 'discrete' ? 0 : baselineWork)) * model.served.wordOperations
  }
}

let lastId = 0

/** A request that was admitted: it collects its rows' answers, and settles once, by the last of them or by an error. */
export class PendingRequest {
  readonly model: LoadedModel
  readonly flow: Flow<PendingRow>
  /** Of the discrete network; 0 where the baseline answers alone. */
  readonly members: number
  readonly networks: Networks
  readonly layers: readonly string[]
  /** On the clock of `performance.now()`; Infinity where there is none. */
  readonly deadline: number
  /** The lane in which its rows wait for their computation. */
  readonly lane: Lane
  readonly rows: readonly PendingRow[]
  readonly answers: Promise<readonly RowAnswer[]>
  readonly #id = ++lastId
  readonly #answers: (RowAnswer | undefined)[]
  #missing: number
  #settle: {
    readonly resolve: (answers: readonly RowAnswer[]) => void
    readonly reject: (error: XnordError) => void
  } | null = null

  /** @param delay milliseconds for which its rows may be held back for others to join them */
  constructor(model: LoadedModel, flow: Flow<PendingRow>, request: PredictRequest, delay: number) {
    const { networks, layers = [], rows, deadline = Number.POSITIVE_INFINITY } = request
    this.model = model
    this.flow = flow
    this.members = membersOf(request)
    this.networks = networks
    this.layers = layers
    this.deadline = deadline
    this.rows = rows.map((row, index) => new PendingRow(this, index, row))
    this.lane = {
      // Names are any text: only as JSON are two lists of them never the same.
      key: `${this.members}/${networks}/${layers.length === 0 ? '' : JSON.stringify(layers)}`,
      maxItems: model.served.maxRows,
      returning: false,
      delay,
    }
    this.#answers = rows.map(() => undefined)
    this.#missing = rows.length
    this.answers = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
  }

  /** A lane of its own: if it was one of its rows that killed a worker, no other request is to be there the next time. */
  get retryLane(): Lane {
    return { ...this.lane, key: `retry/${this.#id}`, delay: 0 }
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
