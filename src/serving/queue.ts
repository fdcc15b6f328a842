import { XnordError } from '../errors.ts'
import type { BatchReason } from './types.ts'

/** Items of one lane of a flow (the same `key`) may leave together. */
export interface Lane {
  readonly key: string
  /** Items that leave together at most. */
  readonly maxItems: number
  /** Items of this lane come back for another one, and keep their share of the bound and their place meanwhile. */
  readonly returning: boolean
  /** Milliseconds for which the oldest item is held back, so that others can join it. */
  readonly delay: number
}

export interface QueueItem {
  /** What the item takes of its flow's bound, above 0. */
  readonly cost: number
  /** What it takes to compute the item, in the unit in which flows share what there is. */
  readonly work: number
  /** On the clock of `performance.now()`. */
  readonly waitingSince: number
  /** Kept by the queue. It rises with each admission: age, wherever the item is. */
  ticket: number
  /** Kept by the queue: where the item waits, null while it is away and will come back. */
  waitsIn: Lane | null
}

/** Items that left together, oldest first. */
export interface Batch<Item extends QueueItem> {
  readonly flow: Flow<Item>
  readonly lane: Lane
  readonly items: readonly Item[]
  readonly reason: BatchReason
}

interface Waiting<Item extends QueueItem> {
  readonly lane: Lane
  /** Sorted by ticket, never empty. */
  readonly items: Item[]
}

interface Candidate<Item extends QueueItem> {
  readonly flow: Flow<Item>
  readonly waiting: Waiting<Item>
}

/** What waits for one model. Only the queue changes it. */
export class Flow<Item extends QueueItem> {
  readonly limit: number
  /** Of all that waits, what is away to come back included. */
  cost = 0
  work = 0
  /** When its next batch begins, in the queue's virtual time. */
  start = 0
  /** All that waits or is away. Weak, for what `Bag` says of a `Set`. */
  readonly items = new WeakSet<Item>()
  readonly lanes = new Map<string, Waiting<Item>>()

  /** @param limit the highest cost of all that waits in it together */
  constructor(limit: number) {
    this.limit = limit
  }
}

/**
 * A queue of flows, each bounded of itself: items enter all together or not at all. Within a flow the lane with the
 * oldest item is the next to leave. Among flows it is start-time fair queueing (Goyal, Vin and Cheng, 1996): each batch
 * moves its flow's start on by its work, and the flow with the earliest start is the next. So whatever others send, two
 * flows that both have something waiting are never apart by more than the work of a batch of each.
 */
export class FairQueue<Item extends QueueItem> {
  readonly #batchWork: number
  /** Those with something in a lane. */
  readonly #waiting = new Set<Flow<Item>>()
  /** The start of the batch that left last. */
  #virtualTime = 0
  /** No flow's start is beyond it. */
  #latestStart = 0
  #cost = 0
  #work = 0
  #nextTicket = 0

  /** @param batchWork what a batch takes beside the work of its items; above 0 where that of an item can be 0 */
  constructor(batchWork: number) {
    this.#batchWork = batchWork
  }

  /** Of all flows, what is away to come back included. */
  get cost(): number {
    return this.#cost
  }

  /** The work that will have left, at most, before the last item that waits in a flow. */
  workAhead(flow: Flow<Item>): number {
    const flows = this.#waiting.size + (this.#waiting.has(flow) ? 0 : 1)
    return Math.min(this.#work, flow.work * flows)
  }

  /**
   * @param retryAfter seconds until so much of the cost that waits in the flow has left it
   * @throws QUEUE_FULL, REQUEST_TOO_LARGE_FOR_QUEUE: none of the items has entered
   */
  admit(
    flow: Flow<Item>,
    items: readonly { readonly item: Item; readonly lane: Lane }[],
    retryAfter: (cost: number) => number,
  ): void {
    const cost = items.reduce((sum, { item }) => sum + item.cost, 0)
    requireBelow(flow.limit, cost)
    const excess = flow.cost + cost - flow.limit
    if (excess > 0) {
      throw new XnordError(
        'QUEUE_FULL',
        `The request costs ${cost} rows × members, and the model's queue has room for ${flow.limit - flow.cost}.`,
        { retryAfter: retryAfter(excess) },
      )
    }
    for (const { item, lane } of items) {
      item.ticket = this.#nextTicket++
      this.putBack(flow, item, lane)
    }
  }

  /** Puts an item that has left back at the place of its age, whether or not there is room. */
  putBack(flow: Flow<Item>, item: Item, lane: Lane): void {
    flow.items.add(item)
    flow.cost += item.cost
    flow.work += item.work
    this.#cost += item.cost
    this.#work += item.work
    this.#insert(flow, item, lane)
  }

  /**
   * The next items to leave, of a lane that is open and ripe: full, or without delay, or delayed for long enough.
   *
   * @param now on the clock of `performance.now()`; Infinity: all are ripe
   * @param share one of so many equal ones of what waits in the lane leaves, where it has no delay
   */
  take(now: number, isOpen: (lane: Lane) => boolean, share = 1): Batch<Item> | undefined {
    let next: Candidate<Item> | undefined
    for (const flow of this.#waiting) {
      const waiting = oldest(flow, candidate => isOpen(candidate.lane) && ripeAt(candidate) <= now)
      if (waiting === undefined) continue
      const candidate = { flow, waiting }
      if (next === undefined || precedes(candidate, next)) next = candidate
    }
    if (next === undefined) return undefined
    const { flow, waiting } = next
    this.#virtualTime = flow.start
    // Who could not leave at this moment has no claim to it later.
    for (const other of this.#waiting) other.start = Math.max(other.start, this.#virtualTime)
    return this.#leave(flow, waiting, share)
  }

  /** When the next lane that is open becomes ripe, on the clock of `performance.now()`; Infinity where none waits. */
  ripeAt(isOpen: (lane: Lane) => boolean): number {
    let earliest = Number.POSITIVE_INFINITY
    for (const { lanes } of this.#waiting) {
      for (const waiting of lanes.values()) {
        if (isOpen(waiting.lane)) earliest = Math.min(earliest, ripeAt(waiting))
      }
    }
    return earliest
  }

  /** Counts work against a flow of which nobody knew before how much it would be. */
  charge(flow: Flow<Item>, work: number): void {
    flow.start += work
    this.#latestStart = Math.max(this.#latestStart, flow.start)
  }

  /** Puts an item that was away into another lane, at the place of its age. False if it was removed meanwhile. */
  comeBack(flow: Flow<Item>, item: Item, lane: Lane): boolean {
    if (!flow.items.has(item)) return false
    this.#insert(flow, item, lane)
    return true
  }

  /** Removes those of the items that are still here (waiting, or away to come back). Returns how many. */
  remove(flow: Flow<Item>, items: Iterable<Item>): number {
    let removed = 0
    for (const item of items) {
      if (!flow.items.has(item)) continue
      this.#forget(flow, item)
      removed++
      if (item.waitsIn === null) continue
      const waiting = flow.lanes.get(item.waitsIn.key)!
      waiting.items.splice(position(waiting.items, item.ticket), 1)
      this.#tidy(flow, waiting)
    }
    return removed
  }

  #insert(flow: Flow<Item>, item: Item, lane: Lane): void {
    item.waitsIn = lane
    if (!this.#waiting.has(flow)) {
      // Where nothing waits at all nobody owes anything to anybody.
      if (this.#waiting.size === 0) this.#virtualTime = this.#latestStart
      flow.start = Math.max(flow.start, this.#virtualTime)
      this.#waiting.add(flow)
    }
    const waiting = flow.lanes.get(lane.key)
    if (waiting === undefined) flow.lanes.set(lane.key, { lane, items: [item] })
    else waiting.items.splice(position(waiting.items, item.ticket), 0, item)
  }

  #leave(flow: Flow<Item>, waiting: Waiting<Item>, share: number): Batch<Item> {
    const { lane } = waiting
    const most = lane.delay > 0 ? lane.maxItems : Math.ceil(waiting.items.length / share)
    const items = waiting.items.splice(0, Math.min(most, lane.maxItems))
    this.#tidy(flow, waiting)
    let work = this.#batchWork
    for (const item of items) {
      if (lane.returning) item.waitsIn = null
      else {
        this.#forget(flow, item)
        work += item.work
      }
    }
    this.charge(flow, work)
    const unfilled = lane.delay > 0 ? 'delay' : 'worker'
    return { flow, lane, items, reason: items.length === lane.maxItems ? 'full' : unfilled }
  }

  #tidy(flow: Flow<Item>, { lane, items }: Waiting<Item>): void {
    if (items.length > 0) return
    flow.lanes.delete(lane.key)
    if (flow.lanes.size === 0) this.#waiting.delete(flow)
  }

  #forget(flow: Flow<Item>, item: Item): void {
    flow.items.delete(item)
    flow.cost -= item.cost
    flow.work -= item.work
    this.#cost -= item.cost
    this.#work -= item.work
  }
}

/** @throws REQUEST_TOO_LARGE_FOR_QUEUE */
export function requireBelow(limit: number, cost: number): void {
  if (cost <= limit) return
  throw new XnordError(
    'REQUEST_TOO_LARGE_FOR_QUEUE',
    `The request costs ${cost} rows × members, and the model's queue holds ${limit}.`,
  )
}

/** The lane of a flow with the oldest item, of those that may leave. */
function oldest<Item extends QueueItem>(
  flow: Flow<Item>,
  mayLeave: (waiting: Waiting<Item>) => boolean,
): Waiting<Item> | undefined {
  let found: Waiting<Item> | undefined
  for (const waiting of flow.lanes.values()) {
    const isOlder = found === undefined || waiting.items[0].ticket < found.items[0].ticket
    if (isOlder && mayLeave(waiting)) found = waiting
  }
  return found
}

/** Equal starts: first come, first served. */
function precedes<Item extends QueueItem>(left: Candidate<Item>, right: Candidate<Item>): boolean {
  if (left.flow.start !== right.flow.start) return left.flow.start < right.flow.start
  return left.waiting.items[0].ticket < right.waiting.items[0].ticket
}

function ripeAt<Item extends QueueItem>({ lane, items }: Waiting<Item>): number {
  if (lane.delay === 0 || items.length >= lane.maxItems) return Number.NEGATIVE_INFINITY
  return items[0].waitingSince + lane.delay
}

/** The index of the first item whose ticket is not lower: binary search. */
function position(items: readonly QueueItem[], ticket: number): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (items[middle].ticket < ticket) low = middle + 1
    else high = middle
  }
  return low
}
