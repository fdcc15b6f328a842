/** Contestants that take turns, so that a machine whose speed drifts slows all of them: what counts is a ratio within a round. */

export interface Contestant {
  readonly name: string
  /** One call; where it gives a promise, the call lasts until that settles. */
  readonly run: () => unknown
}

export interface RoundsOptions {
  readonly rounds: number
  readonly warmUpRounds: number
}

/** The median and the quartiles. */
export interface Spread {
  readonly median: number
  readonly lower: number
  readonly upper: number
}

/** The clock and the loop must not count, so a sample lasts as many calls as it takes to fill this. */
const MIN_SAMPLE_MILLISECONDS = 0.05

/**
 * Each contestant's turn begins with a call that is not timed: it finds its weights in the caches, whoever had the turn
 * before.
 *
 * @returns of each contestant, the milliseconds a call took in each round
 */
export async function takeTurns(
  contestants: readonly Contestant[],
  { rounds, warmUpRounds }: RoundsOptions,
): Promise<readonly Float64Array[]> {
  const times = contestants.map(() => new Float64Array(rounds))
  const calls = contestants.map(() => 1)
  for (let round = -warmUpRounds; round < rounds; round++) {
    for (const [index, { run }] of contestants.entries()) {
      await run()
      const start = performance.now()
      for (let call = 0; call < calls[index]; call++) {
        const pending = run()
        // Awaiting what is no promise would cost the synchronous contestants a turn of the event loop.
        if (pending instanceof Promise) await pending
      }
      const milliseconds = (performance.now() - start) / calls[index]
      if (round >= 0) times[index][round] = milliseconds
      // By the fastest one: an interruption must not make the samples short.
      else calls[index] = Math.max(calls[index], Math.ceil(MIN_SAMPLE_MILLISECONDS / milliseconds))
    }
  }
  return times
}

/** Round by round, a over b. */
export function ratios(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, round) => value / b[round])
}

/** @param values at least one */
export function spreadOf(values: Float64Array): Spread {
  const sorted = values.toSorted()
  // Between two values, their mean.
  const at = (share: number) => {
    const place = share * (sorted.length - 1)
    return (sorted[Math.floor(place)] + sorted[Math.ceil(place)]) / 2
  }
  return { median: at(0.5), lower: at(0.25), upper: at(0.75) }
}
