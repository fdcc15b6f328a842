/** How many of the last recordings the estimate remembers, roughly: recent enough to follow a change of load. */
const memory = 32

/**
 * What handing a batch over costs, in word operations: some 30 µs. Counted with each batch, so that a rate that was
 * measured on small batches holds for the large ones of a burst, and that a model of few word operations pays for its
 * turns, too.
 */
export const handOver = 2 ** 17

/** How fast a worker works, measured over the recent past, and so how long a backlog lasts. */
export class ServiceRate {
  readonly #workers: number
  #work = 0
  #seconds = 0

  /** @param workers threads that work at the same time */
  constructor(workers: number) {
    this.#workers = workers
  }

  /**
   * @param work word operations that a worker did in one batch; 0 for a task that only prepares (decoding on its own)
   * @param seconds that it took the worker
   */
  record(work: number, seconds: number): void {
    const kept = 1 - 1 / memory
    this.#work = this.#work * kept + work + handOver
    this.#seconds = this.#seconds * kept + seconds
  }

  /** Seconds until all workers together have done so many word operations; 0 while nothing has been measured. */
  secondsFor(work: number): number {
    if (this.#work === 0) return 0
    return (work * this.#seconds) / this.#work / this.#workers
  }

  /** The word operations that one worker does in so many seconds; 0 while nothing has been measured. */
  workIn(seconds: number): number {
    return this.#seconds === 0 ? 0 : (seconds * this.#work) / this.#seconds
  }
}
