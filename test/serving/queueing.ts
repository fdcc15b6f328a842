import type { Batch, Lane, QueueItem } from '../../src/serving/queue.ts'

/** What tests put into a queue. */
export class Item implements QueueItem {
  readonly name: string
  readonly cost: number
  readonly work: number
  readonly waitingSince: number
  ticket = 0
  waitsIn: Lane | null = null

  constructor(name: string, { cost = 1, work = 1, waitingSince = 0 } = {}) {
    this.name = name
    this.cost = cost
    this.work = work
    this.waitingSince = waitingSince
  }
}

export function lane(key: string, maxItems = 4): Lane {
  return { key, maxItems, returning: false, delay: 0 }
}

export const preparing: Lane = { key: 'preparing', maxItems: 1, returning: true, delay: 0 }

export function everyLane(): boolean {
  return true
}

export function place(into: Lane, ...items: readonly Item[]) {
  return items.map(item => ({ item, lane: into }))
}

export function names(batch: Batch<Item> | undefined): readonly string[] {
  return (batch?.items ?? []).map(item => item.name)
}
