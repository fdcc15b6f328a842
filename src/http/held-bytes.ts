import { largeBodiesShare } from '../config.ts'
import { XnordError } from '../errors.ts'

/** Bytes up to which a body is small. */
const small = 2 ** 16

/**
 * The bytes of request bodies that are in memory, all requests together: without this bound a few hundred slow
 * uploads, each within its own limit, would fill the machine. A few large ones cannot keep out the small.
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

  /**
   * @param bytes more of a body
   * @param length of the body with them
   * @throws UPLOADS_FULL, and then holds nothing more
   */
  take(bytes: number, length: number): void {
    const limit = length <= small ? this.#limit : Math.floor(this.#limit * largeBodiesShare)
    if (this.#held + bytes > limit) {
      throw new XnordError('UPLOADS_FULL', `At most ${limit} bytes are held at one time.`, { retryAfter: 1 })
    }
    this.#held += bytes
  }

  give(bytes: number): void {
    this.#held -= bytes
  }
}
