import { XnordError } from '../errors.ts'
import type { BatchReason } from './types.ts'

/** Items of one lane (the same `key`) may leave together. */
export interface Lane {
  readonly key: string
  /** Items that leave together at most. */
  readonly maxItems: number
  /** Items of this lane come back for another one, and keep their share of the bound and their place meanwhile. */
  readonly returning: boolean
}

export interface QueueItem {
  /** What the item takes of the queue's bound, above 0. */
  readonly cost: number
}

/** Items that left together, oldest first. */
export interface Batch<Item> {
  readonly lane: Lane
  readonly items: readonly Item[]
  readonly reason: BatchReason
}

interface Entry<Item> {
  readonly item: Item
  /** Rises with each admission: age, whatever lane the item is in. */
  readonly ticket: number
  /** Null while the item is away and will come back. */
  lane: Lane | null
}

/**
 * A bounded queue of lanes, first come, first served: items enter all together or not at all, and the lane whose
 * first item is the oldest is the next to leave.
 */
export class AdmissionQueue<Item extends QueueItem> {
  readonly #limit: number
  readonly #retryAfter: (cost: number) => number
  readonly #entries = new Map<Item, Entry<Item>>()
  /** Each sorted by ticket; a lane without items is not kept. */
  readonly #lanes = new Map<string, Entry<Item>[]>()
  #cost = 0
  #nextTicket = 0

  /**
   * @param limit the highest cost of all that waits together
   * @param retryAfter seconds until so much cost has left the queue
   */
  constructor(limit: number, retryAfter: (cost: number) => number) {
    this.#limit = limit
    this.#retryAfter = retryAfter
  }

  /** Of all that waits, what is away to come back included. */
  get cost(): number {
    return this.#cost
  }

  /** @throws QUEUE_FULL, REQUEST_TOO_LARGE_FOR_QUEUE: none of the items has entered */
  admit(items: readonly { readonly item: Item; readonly lane: Lane }[]): void {
    const cost = items.reduce((sum, { item }) => sum + item.cost, 0)
    if (cost > this.#limit) {
      throw new XnordError(
        'REQUEST_TOO_LARGE_FOR_QUEUE',
        `The request costs ${cost} rows × members, and the queue holds ${this.#limit}.`,
      )
    }
    const excess = this.#cost + cost - this.#limit
    if (excess > 0) {
      throw new XnordError(
        'QUEUE_FULL',
        `The request costs ${cost} rows × members, and the queue has room for ${this.#limit - this.#cost}.`,
        { retryAfter: this.#retryAfter(excess) },
      )
    }
    this.#cost += cost
    for (const { item, lane } of items) {
      const entry = { item, ticket: this.#nextTicket++, lane }
      this.#entries.set(item, entry)
      this.#insert(entry, lane)
    }
  }

  /** The oldest item that waits in an open lane, with those behind it in that lane; undefined if there is none. */
  take(isOpen: (lane: Lane) => boolean): Batch<Item> | undefined {
    let oldest: { readonly lane: Lane; readonly entries: Entry<Item>[]; readonly ticket: number } | undefined
    for (const entries of this.#lanes.values()) {
      const { lane, ticket } = entries[0]
      if (lane !== null && (oldest === undefined || ticket < oldest.ticket) && isOpen(lane)) {
        oldest = { lane, entries, ticket }
      }
    }
    if (oldest === undefined) return undefined
    const { lane, entries } = oldest
    const taken = entries.splice(0, lane.maxItems)
    if (entries.length === 0) this.#lanes.delete(lane.key)
    for (const entry of taken) {
      if (lane.returning) entry.lane = null
      else this.#forget(entry)
    }
    const reason = taken.length === lane.maxItems ? 'full' : 'worker'
    return { lane, items: taken.map(entry => entry.item), reason }
  }

  /** Puts an item that was away into another lane, at the place of its age. False if it was removed meanwhile. */
  comeBack(item: Item, lane: Lane): boolean {
    const entry = this.#entries.get(item)
    if (entry === undefined) return false
    entry.lane = lane
    this.#insert(entry, lane)
    return true
  }

  /** Removes those of the items that are still here (waiting, or away to come back). Returns how many. */
  remove(items: Iterable<Item>): number {
    let removed = 0
    for (const item of items) {
      const entry = this.#entries.get(item)
      if (entry === undefined) continue
      this.#forget(entry)
      removed++
      if (entry.lane === null) continue
      const entries = this.#lanes.get(entry.lane.key)!
      entries.splice(position(entries, entry.ticket), 1)
      if (entries.length === 0) this.#lanes.delete(entry.lane.key)
    }
    return removed
  }

  #insert(entry: Entry<Item>, lane: Lane): void {
    const entries = this.#lanes.get(lane.key)
    if (entries === undefined) this.#lanes.set(lane.key, [entry])
    else entries.splice(position(entries, entry.ticket), 0, entry)
  }

  #forget(entry: Entry<Item>): void {
    this.#entries.delete(entry.item)
    this.#cost -= entry.item.cost
  }
}

/** The index of the first entry whose ticket is not lower: binary search. */
function position(entries: readonly { readonly ticket: number }[], ticket: number): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (entries[middle].ticket < ticket) low = middle + 1
    else high = middle
  }
  return low
}
