import { XnordError } from '../errors.ts'

/**
 * The bytes of request bodies that are in memory, all requests together: without this bound a few hundred slow
 * uploads, each within its own limit, would fill the machine.
 */
export class HeldBytes {
  readonly #limit: number
  #held = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get held(): number {
    return this.#held
  }

  /** @throws UPLOADS_FULL, and then holds nothing more */
  take(bytes: number): void {
    if (this.#held + bytes > this.#limit) {
      throw new XnordError('UPLOADS_FULL', `At most ${this.#limit} bytes are held at one time.`, {
        retryAfter: 1,
      })
    }
    this.#held += bytes
  }

  give(bytes: number): void {
    this.#held -= bytes
  }
}
