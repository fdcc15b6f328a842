import type { RowAnswer, RowTimes } from '../serving/types.ts'

/** The longest of each stage over a request's rows; null where no row was answered. */
export function longestStages(answers: readonly RowAnswer[]): RowTimes | null {
  let longest: RowTimes | null = null
  for (const answer of answers) {
    if (!answer.ok) continue
    longest = longest === null ? answer.times : longer(longest, answer.times)
  }
  return longest
}

function longer(a: RowTimes, b: RowTimes): RowTimes {
  return {
    queue: Math.max(a.queue, b.queue),
    decode: Math.max(a.decode, b.decode),
    compute: Math.max(a.compute, b.compute),
    baseline: a.baseline === null || b.baseline === null ? null : Math.max(a.baseline, b.baseline),
  }
}

/** The value of a `Server-Timing` header. */
export function serverTiming(stages: RowTimes): string {
  const { queue, decode, compute, baseline } = stages
  const text = `queue;dur=${queue.toFixed(3)}, decode;dur=${decode.toFixed(3)}, compute;dur=${compute.toFixed(3)}`
  return baseline === null ? text : `${text}, baseline;dur=${baseline.toFixed(3)}`
}
