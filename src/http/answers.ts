import { type ErrorData, errorTable } from '../errors.ts'
import type { RowAnswer, ServedModel, Uncertainty } from '../serving/types.ts'

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

/** How an answered row is written: by `/predict`, of either network, or by `/compare`. */
export type RowWriter = (answer: Extract<RowAnswer, { ok: true }>, model: ServedModel, top: number) => object

export const writePrediction: RowWriter = (
  { prediction },
  model,
  top,
): Classification & { uncertainty: Uncertainty } => ({
  ...classify(prediction!, model.labels, top),
  uncertainty: prediction!.uncertainty,
})

export const writeBaseline: RowWriter = ({ baseline }, model, top): Classification =>
  classify(baseline!, model.labels, top)

/** Both networks' answers; milliseconds are the batch's, divided by its rows. */
export const writeComparison: RowWriter = (answer, model, top) => ({
  discrete: { ...writePrediction(answer, model, top), milliseconds: answer.times.compute },
  baseline: { ...writeBaseline(answer, model, top), milliseconds: answer.times.baseline },
})

export function writeError(name: string | null, { code, detail }: ErrorData): RowError {
  return { name, error: { code, title: errorTable[code].title, detail } }
}

interface Distribution {
  readonly probabilities: Float64Array
  readonly index: number
}

function classify(
  { probabilities, index }: Distribution,
  labels: readonly string[],
  top: number,
): Classification {
  const entry = (index: number): ClassEntry => ({
    label: labels[index]!,
    index,
    probability: probabilities[index]!,
  })
  const order = Array.from(labels.keys()).sort((a, b) => probabilities[b]! - probabilities[a]! || a - b)
  return { ...entry(index), top: order.slice(0, top).map(entry) }
}
