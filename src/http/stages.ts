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
    compute: longerOf(a.compute, b.compute),
    baseline: longerOf(a.baseline, b.baseline),
  }
}

/** All rows of a request are answered by the same networks. */
function longerOf(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : Math.max(a, b)
}

/** The value of a `Server-Timing` header. */
export function serverTiming(stages: RowTimes): string {
  const { queue, decode, compute, baseline } = stages
  let text = `queue;dur=${queue.toFixed(3)}, decode;dur=${decode.toFixed(3)}`
  if (compute !== null) text += `, compute;dur=${compute.toFixed(3)}`
  if (baseline !== null) text += `, baseline;dur=${baseline.toFixed(3)}`
  return text
}
