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

/**
 * How an answered row is written: by `/predict`, of either network, or by `/compare`. Each object is made as it is to be
 * written: to spread others into it takes longer than to classify a small image.
 */
export type RowWriter = (name: string | null, answer: Answered, model: ServedModel, top: number) => object

export const writePrediction: RowWriter = (name, { prediction }, { labels }, top) => {
  const { probabilities, index, uncertainty } = prediction!
  return {
    name,
    label: labels[index],
    index,
    probability: probabilities[index],
    top: mostProbable(probabilities, labels, top),
    uncertainty,
  } satisfies { name: string | null } & Classification & { uncertainty: Uncertainty }
}

export const writeBaseline: RowWriter = (name, { baseline }, { labels }, top) => {
  const { probabilities, index } = baseline!
  return {
    name,
    label: labels[index],
    index,
    probability: probabilities[index],
    top: mostProbable(probabilities, labels, top),
  } satisfies { name: string | null } & Classification
}

/** Both networks' answers; milliseconds are the batch's, divided by its rows. */
export const writeComparison: RowWriter = (name, { prediction, baseline, times }, { labels }, top) => {
  const classify = ({ probabilities, index }: Distribution): Classification => ({
    label: labels[index]!,
    index,
    probability: probabilities[index]!,
    top: mostProbable(probabilities, labels, top),
  })
  return {
    name,
    discrete: {
      ...classify(prediction!),
      uncertainty: prediction!.uncertainty,
      milliseconds: times.compute,
    },
    baseline: { ...classify(baseline!), milliseconds: times.baseline },
  }
}

export function writeError(name: string | null, { code, detail }: ErrorData): RowError {
  return { name, error: { code, title: errorTable[code].title, detail } }
}

interface Distribution {
  readonly probabilities: Float64Array
  readonly index: number
}

function mostProbable(
  probabilities: Float64Array,
  labels: readonly string[],
  count: number,
): readonly ClassEntry[] {
  return highest(probabilities, 0, labels.length, count).map(index => ({
    label: labels[index]!,
    index,
    probability: probabilities[index]!,
  }))
}
