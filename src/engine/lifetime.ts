/** Bytes that things share which do not live at the same time. */

import { alignUp } from './values.ts'

/** Something that needs bytes from one step to another, both included. */
export interface Lifetime {
  readonly bytes: number
  readonly from: number
  readonly to: number
}

/**
 * Gives the largest its place first, and each the lowest place where nothing lies that lives at the same time.
 *
 * @param begin the lowest place, a multiple of the alignment
 * @returns offsets, in the order of the lifetimes, and the end of the highest
 */
export function placeLifetimes(
  lifetimes: readonly Lifetime[],
  begin: number,
): { readonly offsets: readonly number[]; readonly end: number } {
  const offsets = lifetimes.map(() => begin)
  const placed: number[] = []
  const bySize = lifetimes.map((_, index) => index).sort((a, b) => lifetimes[b].bytes - lifetimes[a].bytes)
  for (const index of bySize) {
    const { bytes, from, to } = lifetimes[index]
    const others = placed
      .filter(other => lifetimes[other].from <= to && lifetimes[other].to >= from)
      .sort((a, b) => offsets[a] - offsets[b])
    let offset = begin
    for (const other of others) {
      if (offset + bytes <= offsets[other]) break
      offset = Math.max(offset, alignUp(offsets[other] + lifetimes[other].bytes))
    }
    offsets[index] = offset
    placed.push(index)
  }
  const ends = lifetimes.map(({ bytes }, index) => offsets[index] + bytes)
  return { offsets, end: Math.max(begin, ...ends) }
}
