import { placeBits, WORD_BYTES, wordsFor } from '../engine/bits.ts'
import type { NetworkSlot } from '../engine/network.ts'
import type { Plan } from '../engine/plan.ts'
import type { Layer } from './types.ts'

/** All operations of a model, in order. */
export function layersOf({ operationNames, outputs }: Plan): readonly Layer[] {
  return operationNames.map((name, index) => {
    const { type, height, width, channels } = outputs[index]
    return { name, type: type === 'bits' ? 'bits' : 'floats', height, width, channels }
  })
}

/** Bytes of a layer's output for one row. */
export function layerBytes({ type, height, width, channels }: Layer, members: number): number {
  const elements = members * height * width * channels
  return type === 'bits' ? Math.ceil(elements / 8) : 4 * elements
}

/**
 * Runs members once more, on the pixels that lie in the slot, and keeps what single operations give.
 *
 * @param asked names of layers
 * @returns of each one all rows behind one another, as `RowAnswer` has them
 */
export function traceLayers(
  slot: NetworkSlot,
  layers: readonly Layer[],
  asked: readonly string[],
  rows: number,
  members: number,
): readonly Uint8Array<ArrayBuffer>[] {
  const wanted = asked.map(name => layers.findIndex(layer => layer.name === name))
  const results = wanted.map(index => new Uint8Array(rows * layerBytes(layers[index], members)))
  const last = Math.max(...wanted)
  for (let member = 0; member < members; member++) {
    let index = 0
    for (const output of slot.trace(slot.pixels, rows, member)) {
      const place = wanted.indexOf(index)
      if (place !== -1) keep(output, layers[index], results[place], rows, member, members)
      if (index++ === last) break
    }
  }
  return results
}

function keep(
  output: Uint8Array,
  layer: Layer,
  result: Uint8Array,
  rows: number,
  member: number,
  members: number,
): void {
  const { type, height, width, channels } = layer
  const pixels = height * width
  const rowBytes = layerBytes(layer, members)
  const pixelBytes = type === 'bits' ? wordsFor(channels) * WORD_BYTES : 4 * channels
  for (let row = 0; row < rows; row++) {
    const begin = row * pixels * pixelBytes
    if (type === 'floats') {
      const bytes = output.subarray(begin, begin + pixels * pixelBytes)
      result.set(bytes, row * rowBytes + member * bytes.length)
      continue
    }
    for (let pixel = 0; pixel < pixels; pixel++) {
      const bit = row * rowBytes * 8 + (member * pixels + pixel) * channels
      placeBits(output, begin + pixel * pixelBytes, channels, result, bit)
    }
  }
}
