/** What the page shows of an answer: rows of a chart, and a sentence. */
import { percent } from './format.ts'

/** One network's answer for one image. */
export interface Reading {
  readonly label: string
  readonly probability: number
  /** The probability of each class that the server listed, by label. */
  readonly probabilities: ReadonlyMap<string, number>
  /** Time the network took; null where the server did not say. */
  readonly milliseconds: number | null
}

export interface Uncertainty {
  /** In nats. */
  readonly entropy: number
  /** In nats. */
  readonly mutualInformation: number
  /** Share of the members, 0..1. */
  readonly agreement: number
  readonly members: number
}

export interface Answer {
  /** Whose kernels computed the discrete network. */
  readonly backend: string
  readonly discrete: Reading
  readonly uncertainty: Uncertainty
  /** null: the model has no float twin. */
  readonly baseline: Reading | null
}

export interface ChartRow {
  readonly label: string
  readonly discrete: number
  readonly baseline: number | null
}

/** Up to so many classes the chart shows them all, always in the same places. */
const mostRows = 10

/**
 * The rows of the chart: all classes in the model's order where there are few, else those that either network finds
 * most probable, the most probable first.
 */
export function chartRows(labels: readonly string[], answer: Answer): readonly ChartRow[] {
  const rows = labels.map(label => ({
    label,
    discrete: answer.discrete.probabilities.get(label) ?? 0,
    baseline: answer.baseline === null ? null : (answer.baseline.probabilities.get(label) ?? 0),
  }))
  if (rows.length <= mostRows) return rows
  const rank = (row: ChartRow) => Math.max(row.discrete, row.baseline ?? 0)
  return rows.toSorted((a, b) => rank(b) - rank(a)).slice(0, mostRows)
}

/** How many members name the answer's class themselves. */
export function agreeing({ agreement, members }: Uncertainty): number {
  return Math.round(agreement * members)
}

/** The answer without its label, which stands beside it: how probable, and who agrees. */
export function sentence({ discrete, uncertainty, baseline }: Answer): string {
  const count = agreeing(uncertainty)
  const all = count === uncertainty.members
  const members = all ? `All ${count} members agree` : `${count} of ${uncertainty.members} members agree`
  const probable = `${percent(discrete.probability).replace('>', 'More than ')} probable.`
  const several = uncertainty.members > 1
  if (baseline === null) return several ? `${probable} ${members}.` : probable
  if (baseline.label === discrete.label) {
    return `${probable} ${several ? `${members}, and so does` : 'So says'} the float twin.`
  }
  const twin = `float twin says ${baseline.label} (${percent(baseline.probability)}).`
  return `${probable} ${several ? `${members}, but the` : 'But the'} ${twin}`
}
