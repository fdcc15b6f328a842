import type { InputSpec } from '../engine/graph.ts'

/** A part of an image, in pixels. */
interface Rectangle {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/**
 * Brings an image to a model's shape by one integer area filter, up and down alike.
 *
 * Output i of n along an axis covers the interval [i·N/n, (i+1)·N/n) of the N source pixels. In units of 1/n every
 * overlap is an integer, so that with weights wy, wx a value is exactly ⌊(2·Σ wy·wx·p + D) ÷ 2D⌋, D = Ny·Nx: the mean,
 * rounded half up. Sums stay below 2⁵³ for any image that fits in memory.
 *
 * @param source height × width × input.channels bytes, width and height at least 1
 * @param out input.height × input.width × input.channels bytes; overwritten
 */
export function resize(
  source: Uint8Array,
  width: number,
  height: number,
  input: InputSpec,
  out: Uint8Array,
): void {
  if (width === input.width && height === input.height) {
    out.set(source) // what the formula gives, and what most clients of a small model send
    return
  }
  const image: Rectangle = { left: 0, top: 0, width, height }
  const frame: Rectangle = { left: 0, top: 0, width: input.width, height: input.height }
  const { channels } = input
  if (input.resize === 'cover') {
    filterArea(source, width, largestWithin(image, frame), out, input.width, frame, channels)
  } else if (input.resize === 'contain') {
    out.fill(0)
    filterArea(source, width, image, out, input.width, largestWithin(frame, image), channels)
  } else {
    filterArea(source, width, image, out, input.width, frame, channels)
  }
}

/**
 * The largest rectangle with the aspect ratio of `shape` in the middle of `outer`. The shorter side is rounded half up
 * and is at least 1; where it leaves an odd number of pixels, the odd one lies right or below.
 */
function largestWithin(outer: Rectangle, shape: Rectangle): Rectangle {
  const wider = outer.width * shape.height >= outer.height * shape.width
  const width = wider ? scaled(outer.height, shape.width, shape.height) : outer.width
  const height = wider ? outer.height : scaled(outer.width, shape.height, shape.width)
  return {
    left: Math.floor((outer.width - width) / 2),
    top: Math.floor((outer.height - height) / 2),
    width,
    height,
  }
}

/** length × numerator ÷ denominator, rounded half up, at least 1. */
function scaled(length: number, numerator: number, denominator: number): number {
  return Math.max(1, Math.floor((2 * length * numerator + denominator) / (2 * denominator)))
}

function filterArea(
  source: Uint8Array,
  sourceWidth: number,
  from: Rectangle,
  out: Uint8Array,
  outWidth: number,
  to: Rectangle,
  channels: number,
): void {
  const area = from.width * from.height
  const sums = new Float64Array(to.width * channels)
  const rowSums = new Float64Array(to.width * channels)
  let summedRow = -1 // two outputs share a source row at most times, so the last one is kept
  for (let y = 0; y < to.height; y++) {
    const start = y * from.height
    const end = start + from.height
    sums.fill(0)
    for (let row = Math.floor(start / to.height); row * to.height < end; row++) {
      if (row !== summedRow) {
        const first = ((from.top + row) * sourceWidth + from.left) * channels
        sumRow(source, first, from.width, to.width, channels, rowSums)
        summedRow = row
      }
      const weight = overlap(row, to.height, start, end)
      for (let i = 0; i < sums.length; i++) sums[i] += weight * rowSums[i]
    }
    const target = ((to.top + y) * outWidth + to.left) * channels
    for (let i = 0; i < sums.length; i++) out[target + i] = Math.floor((2 * sums[i] + area) / (2 * area))
  }
}

/** Σ wx·p for each output of one row. Of the pixels that an output covers, all between the first and the last count whole. */
function sumRow(
  source: Uint8Array,
  first: number,
  width: number,
  outputs: number,
  channels: number,
  sums: Float64Array,
): void {
  for (let x = 0; x < outputs; x++) {
    const start = x * width
    const end = start + width
    const from = Math.floor(start / outputs)
    const to = Math.ceil(end / outputs) - 1
    const fromWeight = overlap(from, outputs, start, end)
    const toWeight = to > from ? overlap(to, outputs, start, end) : 0
    for (let c = 0; c < channels; c++) {
      const fromPixel = first + from * channels + c
      const toPixel = first + to * channels + c
      let whole = 0
      for (let pixel = fromPixel + channels; pixel < toPixel; pixel += channels) whole += source[pixel]
      sums[x * channels + c] = fromWeight * source[fromPixel] + outputs * whole + toWeight * source[toPixel]
    }
  }
}

/** Length that source pixel `index`, `unit` long, has in common with [start, end). */
function overlap(index: number, unit: number, start: number, end: number): number {
  return Math.min((index + 1) * unit, end) - Math.max(index * unit, start)
}
