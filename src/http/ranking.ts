/** So many places are kept in order as values come; for more, sorting all of them is faster. */
const few = 16

/**
 * The indexes of the highest of some values, the highest first; ties go to the lowest index.
 *
 * @param begin of the values among others
 * @param length of them
 * @param count of those that are wanted, 1..length
 */
export function highest(
  values: ArrayLike<number>,
  begin: number,
  length: number,
  count: number,
): readonly number[] {
  if (count > few) {
    const order = Array.from({ length }, (_, index) => index)
    return order.sort((a, b) => values[begin + b]! - values[begin + a]! || a - b).slice(0, count)
  }
  const order: number[] = []
  for (let index = 0; index < length; index++) {
    const value = values[begin + index]!
    let place = order.length
    while (place > 0 && values[begin + order[place - 1]!]! < value) place--
    if (place === count) continue
    // Those below it move down; the last one may fall out.
    for (let lower = Math.min(order.length, count - 1); lower > place; lower--)
      order[lower] = order[lower - 1]!
    order[place] = index
  }
  return order
}
