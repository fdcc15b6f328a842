import type { AdmissionQueue, Batch, QueueItem } from './queue.ts'

/**
 * Hands batches to workers: as soon as one is free, all that waits in the oldest lane leaves together. There is no
 * timer: under load batches grow by themselves, and without load nobody waits.
 */
export class Batcher<Item extends QueueItem> {
  readonly #queue: AdmissionQueue<Item>
  readonly #workers: number
  readonly #send: (batch: Batch<Item>) => Promise<void>
  #busy = 0
  #returning = 0
  #whenIdle: (() => void)[] = []

  /**
   * @param workers batches that may be out at once
   * @param send resolves when the batch's worker is free again; it deals with every failure itself
   */
  constructor(queue: AdmissionQueue<Item>, workers: number, send: (batch: Batch<Item>) => Promise<void>) {
    this.#queue = queue
    this.#workers = workers
    this.#send = send
  }

  /** To be called when something has entered the queue. */
  wake(): void {
    while (this.#busy < this.#workers) {
      // Preparing is not to take the last worker from those who are ready to be computed.
      const mayPrepare = this.#returning < Math.max(1, this.#workers - 1)
      const batch = this.#queue.take(lane => !lane.returning || mayPrepare)
      if (batch === undefined) return
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

  /** Resolves when no batch is out; what still waits in the queue leaves first. */
  async idle(): Promise<void> {
    if (this.#busy > 0) await new Promise<void>(resolve => this.#whenIdle.push(resolve))
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
    this.wake()
    if (this.#busy === 0) for (const resolve of this.#whenIdle.splice(0)) resolve()
  }
}
