import { layerBytes } from '../../serving/layers.ts'
import type { Layer, ServedModel } from '../../serving/types.ts'
import { spreadBits } from './binary.ts'

/** Bytes that an element takes at most in JSON, its comma included. */
const jsonBytes = { bits: 6, floats: 26 } as const

export function layerType({ type }: Layer): 'BOOL' | 'FP32' {
  return type === 'bits' ? 'BOOL' : 'FP32'
}

/** Without the first axis, the rows. What is one pixel has no height and width. */
export function layerShape({ height, width, channels }: Layer, members: number): readonly number[] {
  return height === 1 && width === 1 ? [members, channels] : [members, height, width, channels]
}

/** Those that no output of the model hides by its name. */
export function layerMetadata({ layers }: ServedModel, isHidden: (name: string) => boolean) {
  return layers
    .filter(({ name }) => !isHidden(name))
    .map(layer => ({ name: layer.name, datatype: layerType(layer), shape: [-1, ...layerShape(layer, -1)] }))
}

/** In the JSON; behind it; or behind it with one bit an element. */
export type OutputForm = 'json' | 'binary' | 'bit-packed'

/** Bytes of a layer's output in an answer, at most. */
export function writtenBytes(layer: Layer, form: OutputForm, rows: number, members: number): number {
  if (form === 'bit-packed' || (form === 'binary' && layer.type === 'floats'))
    return rows * layerBytes(layer, members)
  return rows * elementsOf(layer, members) * (form === 'json' ? jsonBytes[layer.type] : 1)
}

/**
 * A layer's output over all rows.
 *
 * @param bytes of each row, as serving gives them
 * @returns a byte for each bit, or floats
 */
export function layerValues(
  layer: Layer,
  bytes: readonly Uint8Array[],
  members: number,
): Uint8Array | Float32Array {
  const elements = elementsOf(layer, members)
  if (layer.type === 'bits') {
    const values = new Uint8Array(bytes.length * elements)
    for (const [row, bits] of bytes.entries()) spreadBits(bits, 0, 1, values, row * elements, elements)
    return values
  }
  const values = new Float32Array(bytes.length * elements)
  const all = new Uint8Array(values.buffer)
  for (const [row, floats] of bytes.entries()) all.set(floats, row * floats.length)
  return values
}

function elementsOf({ height, width, channels }: Layer, members: number): number {
  return members * height * width * channels
}
