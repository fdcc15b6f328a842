import type { Batch, FairQueue, Lane, QueueItem } from './queue.ts'

/** When to look at what has arrived, once the first of it has. */
export type Gather = (look: () => void) => void

/**
 * At the end of a turn of the event loop, in which many connections may have been read: with the first row alone a
 * worker would be busy when the others are there.
 */
export const gatherTurn: Gather = look => {
  setImmediate(look)
}

/**
 * Hands batches to workers: as soon as one is free, all that waits in the next lane leaves together, and where several
 * are free each takes its share. Under load batches grow by themselves, and without load nobody waits, but where a lane
 * has a delay: it leaves when it is full, or when its oldest item has waited for so long.
 */
export class Batcher<Item extends QueueItem> {
  readonly #queue: FairQueue<Item>
  readonly #workers: number
  readonly #send: (batch: Batch<Item>) => Promise<void>
  readonly #gather: Gather
  #busy = 0
  #returning = 0
  #delays = true
  #gathering = false
  #alarm: NodeJS.Timeout | undefined
  #whenIdle: (() => void)[] = []

  /**
   * @param workers batches that may be out at once
   * @param send resolves when the batch's worker is free again; it deals with every failure itself
   */
  constructor(
    queue: FairQueue<Item>,
    workers: number,
    send: (batch: Batch<Item>) => Promise<void>,
    gather: Gather,
  ) {
    this.#queue = queue
    this.#workers = workers
    this.#send = send
    this.#gather = gather
  }

  /** To be called when something has entered the queue. */
  wake(): void {
    if (this.#gathering) return
    this.#gathering = true
    this.#gather(() => {
      this.#gathering = false
      this.#wake()
    })
  }

  #wake(): void {
    clearTimeout(this.#alarm)
    while (this.#busy < this.#workers) {
      const now = this.#delays ? performance.now() : Number.POSITIVE_INFINITY
      const batch = this.#queue.take(now, this.#isOpen, this.#workers - this.#busy)
      if (batch === undefined) {
        this.#wakeAt(this.#queue.ripeAt(this.#isOpen), now)
        return
      }
      void this.#out(batch)
    }
  }

  /** Does a task that takes one worker from the batches until it is over. */
  async occupy(task: () => Promise<void>): Promise<void> {
    this.#busy++
    try {
      await task()
    } finally {
      this.#free()
    }
  }

  /** Nothing is held back any more. Resolves when no batch is out; what still waits in the queue leaves first. */
  async idle(): Promise<void> {
    this.#delays = false
    this.#wake()
    if (this.#busy > 0) await new Promise<void>(resolve => this.#whenIdle.push(resolve))
  }

  /** Preparing is not to take the last worker from those who are ready to be computed. */
  readonly #isOpen = (lane: Lane): boolean =>
    !lane.returning || this.#returning < Math.max(1, this.#workers - 1)

  #wakeAt(time: number, now: number): void {
    if (time === Number.POSITIVE_INFINITY) return
    this.#alarm = setTimeout(() => this.#wake(), Math.max(0, time - now))
  }

  async #out(batch: Batch<Item>): Promise<void> {
    this.#busy++
    if (batch.lane.returning) this.#returning++
    try {
      await this.#send(batch)
    } finally {
      if (batch.lane.returning) this.#returning--
      this.#free()
    }
  }

  #free(): void {
    this.#busy--
    this.#wake()
    if (this.#busy === 0) for (const resolve of this.#whenIdle.splice(0)) resolve()
  }
}
