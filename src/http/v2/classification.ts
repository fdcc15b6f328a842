import { highest } from '../ranking.ts'

/**
 * The highest values of each run of classes, as `value:index:label`: what the classification extension gives in the
 * place of a tensor. Ties go to the lowest index.
 *
 * @param values [runs, classes]
 * @param count at most as many as there are classes
 * @returns [runs, count], the highest first
 */
export function classifications(
  values: Float32Array,
  labels: readonly string[],
  count: number,
): readonly string[] {
  const classes = labels.length
  const texts: string[] = []
  for (let begin = 0; begin < values.length; begin += classes) {
    for (const index of highest(values, begin, classes, count))
      texts.push(`${values[begin + index]}:${index}:${labels[index]}`)
  }
  return texts
}
