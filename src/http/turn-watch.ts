/** Requests of one turn that are read however late it is: so few are answered sooner than their clients could ask again. */
const few = 32

/** Turns that are too long are borne for so many times their limit: a burst, or a pause of the process, passes. */
const patience = 4

/**
 * Watches over the turns of the event loop. In a turn what has arrived on all connections is read, one after the other,
 * and meanwhile more arrives: as long as turns end soon the process keeps up, and where they do not it falls behind by
 * more with each. The rule is that of CoDel (RFC 8289): not a long delay is overload, but one that stays.
 */
export class TurnWatch {
  readonly #limit: number
  readonly #atEnd: (task: () => void) => void
  readonly #now: () => number
  /** When the first request of this turn was read; null before that. */
  #begin: number | null = null
  #read = 0
  /** When the first of the turns began that have all been too long since; null where the last one was not. */
  #behindSince: number | null = null
  /** When the last turn ended that has read anything. */
  #ended = Number.NEGATIVE_INFINITY

  /**
   * @param limit milliseconds that a turn should take at most over what it reads
   * @param atEnd runs a task when the turn is over
   * @param now the clock, in milliseconds
   */
  constructor(
    limit: number,
    atEnd: (task: () => void) => void = setImmediate,
    now: () => number = () => performance.now(),
  ) {
    this.#limit = limit
    this.#atEnd = atEnd
    this.#now = now
  }

  /** To be called for each request that is read: whether the process is too far behind to take it. */
  isBehind(): boolean {
    const now = this.#now()
    this.#read++
    if (this.#begin === null) {
      this.#begin = now
      // What was idle for so long has caught up.
      if (now - this.#ended > this.#limit) this.#behindSince = null
      this.#atEnd(() => this.#end())
      return false
    }
    return (
      this.#read > few &&
      now - this.#begin > this.#limit &&
      this.#behindSince !== null &&
      now - this.#behindSince > patience * this.#limit
    )
  }

  #end(): void {
    this.#ended = this.#now()
    if (this.#ended - this.#begin! <= this.#limit) this.#behindSince = null
    else this.#behindSince ??= this.#begin
    this.#begin = null
    this.#read = 0
  }
}
