/** Where the values of a batch lie in a slot: pixels | values, which share bytes by lifetime | slack. */

import { IMAGE, isWeighted, type Operation, type ValueType } from './graph.ts'
import { type Lifetime, placeLifetimes } from './lifetime.ts'
import { alignUp, layOutValue, type ValueLayout } from './values.ts'

export interface SlotLayout {
  readonly bytes: number
  /** The rows of pixels as they come: read by every member, so no value shares their bytes. */
  readonly pixels: ValueLayout
  /** Their copy with a border, where an operation reads the image with padding. */
  readonly image: ValueLayout | null
  /** Of each operation. */
  readonly outputs: readonly ValueLayout[]
}

/** A run is read in whole words, so a few bytes beyond its end, and the last value needs them, too. */
const SLACK = 64

/**
 * @param values by name, `image` and every operation's output
 * @param rows of the largest batch
 */
export function layOutSlot(
  operations: readonly Operation[],
  values: ReadonlyMap<string, ValueType>,
  rows: number,
): SlotLayout {
  const pixels = layOutValue(values.get(IMAGE)!, 0, 0)
  const border = borderOf(IMAGE, operations)
  const wanted = [
    ...(border > 0
      ? [{ layout: layOutValue(values.get(IMAGE)!, border, 0), ...imageLivesFor(operations) }]
      : []),
    ...operations.map(({ name }, index) => ({
      layout: layOutValue(values.get(name)!, borderOf(name, operations), 0),
      ...livesFor(index, operations),
    })),
  ]
  const lifetimes = wanted.map(({ layout, from, to }): Lifetime => ({ bytes: rows * layout.row, from, to }))
  const { offsets, end } = placeLifetimes(lifetimes, alignUp(rows * pixels.row))
  const placed = wanted.map(({ layout }, index) => ({ ...layout, offset: offsets[index] }))
  const outputs = placed.slice(placed.length - operations.length)
  return { bytes: alignUp(end + SLACK), pixels, image: border > 0 ? placed[0] : null, outputs }
}

/** The value as an operation reads it: the image from its padded copy only where it needs the border. */
export function sourceOf(
  operation: Operation,
  operations: readonly Operation[],
  slot: SlotLayout,
): ValueLayout {
  if (operation.input === IMAGE) return paddingOf(operation) > 0 ? slot.image! : slot.pixels
  return outputOf(operation.input, operations, slot)
}

export function outputOf(name: string, operations: readonly Operation[], slot: SlotLayout): ValueLayout {
  return slot.outputs[operations.findIndex(operation => operation.name === name)]
}

export function paddingOf(operation: Operation): number {
  return operation.op === 'conv2d' ? operation.padding : 0
}

function borderOf(name: string, operations: readonly Operation[]): number {
  const readers = operations.filter(({ input }) => input === name)
  return Math.max(0, ...readers.map(paddingOf))
}

/** From the step that writes it to the last that reads it. */
function livesFor(index: number, operations: readonly Operation[]): Pick<Lifetime, 'from' | 'to'> {
  const { name } = operations[index]
  const last = operations.findLastIndex(
    operation => operation.input === name || (isWeighted(operation) && operation.add === name),
  )
  return { from: index, to: Math.max(index, last) }
}

/** The copy of the image is written before the first operation, and read by those with padding alone. */
function imageLivesFor(operations: readonly Operation[]): Pick<Lifetime, 'from' | 'to'> {
  const last = operations.findLastIndex(operation => operation.input === IMAGE && paddingOf(operation) > 0)
  return { from: -1, to: last }
}
