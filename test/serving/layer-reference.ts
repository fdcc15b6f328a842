import type { ModelContent } from '../../src/engine/format.ts'
import { forward } from '../reference.ts'

/** A layer's output for one row, as the slow reference computes it: [members, height, width, channels]. */
export function referenceLayer(
  model: Omit<ModelContent, 'check'>,
  pixels: Uint8Array,
  name: string,
  members: number,
): { readonly type: string; readonly numbers: readonly number[]; readonly bytes: Uint8Array } {
  const values = Array.from({ length: members }, (_, member) => forward(model, pixels, member).get(name)!)
  const numbers = values.flatMap(value => value.numbers)
  const { type } = values[0]
  if (type === 'floats') return { type, numbers, bytes: new Uint8Array(Float32Array.from(numbers).buffer) }
  const bytes = new Uint8Array(Math.ceil(numbers.length / 8))
  for (const [index, number] of numbers.entries()) if (number === 1) bytes[index >> 3] += 2 ** (index & 7)
  return { type, numbers, bytes }
}
