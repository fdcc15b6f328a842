import { type ErrorData, errorTable } from '../errors.ts'
import type { RowAnswer, ServedModel, Uncertainty } from '../serving/types.ts'
import { highest } from './ranking.ts'

export interface ClassEntry {
  readonly label: string
  readonly index: number
  readonly probability: number
}

/** A classifier's answer on one row: its first class, and the `top` most probable ones. */
export interface Classification extends ClassEntry {
  readonly top: readonly ClassEntry[]
}

export interface RowError {
  readonly name: string | null
  readonly error: { readonly code: string; readonly title: string; readonly detail: string }
}

type Answered = Extract<RowAnswer, { ok: true }>

/** How an answered row is written: by `/predict`, of either network, or by `/compare`. */
export type RowWriter = (name: string | null, answer: Answered, model: ServedModel, top: number) => object

export const writePrediction: RowWriter = (name, { prediction }, { labels }, top) =>
  classify(prediction!, labels, top, { name, uncertainty: prediction!.uncertainty })

export const writeBaseline: RowWriter = (name, { baseline }, { labels }, top) =>
  classify(baseline!, labels, top, { name })

/** Both networks' answers; milliseconds are the batch's, divided by its rows. */
export const writeComparison: RowWriter = (name, { prediction, baseline, times }, { labels }, top) => ({
  name,
  discrete: classify(prediction!, labels, top, {
    uncertainty: prediction!.uncertainty,
    milliseconds: times.compute,
  }),
  baseline: classify(baseline!, labels, top, { milliseconds: times.baseline }),
})

export function writeError(name: string | null, { code, detail }: ErrorData): RowError {
  return { name, error: { code, title: errorTable[code].title, detail } }
}

interface Distribution {
  readonly probabilities: Float64Array
  readonly index: number
}

/** What stands beside a classification; JSON leaves out what is undefined. */
interface Beside {
  readonly name?: string | null
  readonly uncertainty?: Uncertainty
  readonly milliseconds?: number | null
}

/** Made as it is to be written: to spread one object into another takes longer than to classify a small image. */
function classify(
  { probabilities, index }: Distribution,
  labels: readonly string[],
  top: number,
  { name, uncertainty, milliseconds }: Beside,
): Classification & Beside {
  const entry = (index: number): ClassEntry => ({
    label: labels[index]!,
    index,
    probability: probabilities[index]!,
  })
  return {
    name,
    label: labels[index]!,
    index,
    probability: probabilities[index]!,
    top: highest(probabilities, 0, labels.length, top).map(entry),
    uncertainty,
    milliseconds,
  }
}
