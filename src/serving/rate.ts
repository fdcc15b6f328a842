/** How many of the last recordings the estimate remembers, roughly: recent enough to follow a change of load. */
const memory = 32

/** What one unit of cost takes a worker, measured over the recent past, and so how long a backlog lasts. */
export class ServiceRate {
  readonly #workers: number
  #cost = 0
  #seconds = 0

  /** @param workers threads that work at the same time */
  constructor(workers: number) {
    this.#workers = workers
  }

  /**
   * @param cost units that a worker finished; 0 for work that only prepares (decoding in a task of its own)
   * @param seconds that it took the worker
   */
  record(cost: number, seconds: number): void {
    const kept = 1 - 1 / memory
    this.#cost = this.#cost * kept + cost
    this.#seconds = this.#seconds * kept + seconds
  }

  /** Whole seconds, at least 1, until all workers together have finished so much; 1 while nothing has been measured. */
  secondsFor(cost: number): number {
    if (this.#cost === 0) return 1
    return Math.max(1, Math.ceil((cost * this.#seconds) / this.#cost / this.#workers))
  }
}
