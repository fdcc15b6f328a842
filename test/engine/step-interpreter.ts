/**
 * Runs steps as `src/engine/kernels/step.ts` describes them, one number after the other: an independent reading of
 * what the tables and layouts mean, slow and never shipped.
 */

import type { Kernels } from '../../src/engine/kernels/kernels.ts'
import { blockLanes, STEP_BYTES, type Step, stepFields, stepKinds } from '../../src/engine/kernels/step.ts'

export function interpreter(arena: SharedArrayBuffer): Pick<Kernels, 'run'> {
  const memory = new DataView(arena)
  return {
    run(first, steps, slot, rows) {
      for (let index = 0; index < steps; index++) {
        const step = readStep(memory, first + index * STEP_BYTES)
        for (let row = 0; row < rows; row++) new RowOfStep(memory, step, slot, row).run()
      }
    },
  }
}

function readStep(memory: DataView, address: number): Step {
  const entries = stepFields.map((field, index) => [field, memory.getUint32(address + 4 * index, true)])
  return Object.fromEntries(entries) as Step
}

/** One step on one row of the batch; addresses count from the start of the arena. */
class RowOfStep {
  readonly #memory: DataView
  readonly #step: Step
  readonly #input: number
  readonly #output: number
  readonly #addend: number | null

  constructor(memory: DataView, step: Step, slot: number, row: number) {
    this.#memory = memory
    this.#step = step
    this.#input = slot + step.input + row * step.inputRow
    this.#output = slot + step.output + row * step.outputRow
    this.#addend = step.addend === 0 ? null : slot + step.addend + row * step.outputRow
  }

  run(): void {
    const { height, width, kind } = this.#step
    this.#fillBorder(kind === stepKinds.image ? 128 : 0)
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) this.#pixel(y, x)
    }
  }

  #fillBorder(value: number): void {
    const { height, width, outputBorder: border, outputLine, outputPixel } = this.#step
    for (let y = -border; y < height + border; y++) {
      for (let x = -border; x < width + border; x++) {
        if (y >= 0 && y < height && x >= 0 && x < width) continue
        const at = this.#output + y * outputLine + x * outputPixel
        for (let byte = 0; byte < outputPixel; byte++) this.#memory.setUint8(at + byte, value)
      }
    }
  }

  #pixel(y: number, x: number): void {
    const { kind, floats, channels, outputLine, outputPixel } = this.#step
    const at = y * outputLine + x * outputPixel
    if (kind === stepKinds.image) {
      for (let c = 0; c < channels; c++) {
        const from = this.#input + y * this.#step.inputLine + x * channels + c
        this.#memory.setUint8(this.#output + at + c, this.#memory.getUint8(from))
      }
      return
    }
    for (let byte = 0; byte < outputPixel; byte++) this.#memory.setUint8(this.#output + at + byte, 0)
    for (let c = 0; c < channels; c++) {
      if (floats === 1) {
        const addend = this.#addend === null ? null : this.#float(this.#addend + at + 4 * c)
        const value = this.#floatOf(this.#input + this.#window(y, x), c)
        const sum = addend === null ? value : Math.fround(value + addend)
        this.#memory.setFloat32(this.#output + at + 4 * c, sum, true)
      } else if (this.#fires(y, x, c)) {
        const byte = this.#output + at + (c >> 3)
        this.#memory.setUint8(byte, this.#memory.getUint8(byte) | (1 << (c & 7)))
      }
    }
  }

  #window(y: number, x: number): number {
    return y * this.#step.inputStepY + x * this.#step.inputStepX
  }

  /** The or over the windows that the pool brings together. */
  #fires(y: number, x: number, channel: number): boolean {
    const { pool } = this.#step
    for (let dy = 0; dy < pool; dy++) {
      for (let dx = 0; dx < pool; dx++) {
        if (this.#bitOf(this.#input + this.#window(y * pool + dy, x * pool + dx), channel)) return true
      }
    }
    return false
  }

  #bitOf(window: number, channel: number): boolean {
    const { kind, limits } = this.#step
    const entry = limits + 4 * channel
    switch (kind) {
      case stepKinds.bits:
        return this.#distance(window, channel) <= this.#integer(entry)
      case stepKinds.pixels:
        return this.#sumOfPixels(window, channel) >= this.#integer(entry)
      case stepKinds.sign:
        return this.#float(window + 4 * channel) >= this.#float(entry)
      default:
        throw new RangeError(`a step of the kind ${kind} gives no bits`)
    }
  }

  #floatOf(window: number, channel: number): number {
    const { kind, totals, scales, biases } = this.#step
    if (kind === stepKinds.averagePool) return this.#mean(window, channel)
    const sum = (): number => {
      switch (kind) {
        case stepKinds.bits:
          return this.#integer(totals + 4 * channel) - 2 * this.#distance(window, channel)
        case stepKinds.pixels:
          return this.#sumOfPixels(window, channel) - this.#integer(totals + 4 * channel)
        case stepKinds.linear:
          return this.#sumOfFloats(window, channel)
        default:
          throw new RangeError(`a step of the kind ${kind} gives no floats`)
      }
    }
    const scaled = Math.fround(Math.fround(sum()) * this.#float(scales + 4 * channel))
    return Math.fround(scaled + this.#float(biases + 4 * channel))
  }

  #distance(window: number, channel: number): number {
    const { lines, run, masked, inputLine } = this.#step
    const weight = this.#weightsOf(channel, run * (1 + masked), 8)
    return this.#sumOfPlanes(plane => {
      let distance = 0
      for (let line = 0; line < lines; line++) {
        for (let half = 0; half < 2 * run; half++) {
          const word = (half >> 1) * (1 + masked)
          const sign = this.#integer(weight(plane, line, word) + 4 * (half & 1))
          const mask = masked === 1 ? this.#integer(weight(plane, line, word + 1) + 4 * (half & 1)) : -1
          const bits = this.#integer(window + line * inputLine + 4 * half)
          distance += ones((bits ^ sign) & mask)
        }
      }
      return distance
    })
  }

  #sumOfPixels(window: number, channel: number): number {
    const { lines, run, inputLine } = this.#step
    const weight = this.#weightsOf(channel, run, 4)
    return this.#sumOfPlanes(plane => {
      let sum = 0
      for (let line = 0; line < lines; line++) {
        for (let byte = 0; byte < 4 * run; byte++) {
          const w = this.#memory.getInt8(weight(plane, line, byte >> 2) + (byte & 3))
          sum += w * this.#memory.getUint8(window + line * inputLine + byte)
        }
      }
      return sum
    })
  }

  #sumOfFloats(window: number, channel: number): number {
    const { lines, run, inputLine } = this.#step
    const weight = this.#weightsOf(channel, run, 4)
    let sum = 0
    for (let line = 0; line < lines; line++) {
      for (let index = 0; index < run; index++) {
        const value = this.#float(window + line * inputLine + 4 * index)
        sum = Math.fround(sum + Math.fround(this.#float(weight(0, line, index)) * value))
      }
    }
    return sum
  }

  #mean(window: number, channel: number): number {
    const { lines, run, inputLine, inputStepX } = this.#step
    let sum = 0
    for (let line = 0; line < lines; line++) {
      for (let pixel = 0; pixel < run; pixel++) {
        const at = window + line * inputLine + (pixel * inputStepX) / run + 4 * channel
        sum = Math.fround(sum + this.#float(at))
      }
    }
    return Math.fround(sum / (lines * run))
  }

  #sumOfPlanes(ofPlane: (plane: number) => number): number {
    const { planes, shifts } = this.#step
    let sum = 0
    for (let plane = 0; plane < planes; plane++) {
      sum = sum * 2 ** ((shifts >>> (4 * plane)) & 15) + ofPlane(plane)
    }
    return sum
  }

  /** Address of one element of a channel's weights: a line has `run` of them, each of so many bytes. */
  #weightsOf(channel: number, run: number, bytes: number) {
    const { weights, planes, lines, channels } = this.#step
    const first = channel - (channel % 32)
    const lanes = blockLanes(channels, first)
    const block = weights + first * planes * lines * run * bytes
    return (plane: number, line: number, element: number) =>
      block + (((plane * lines + line) * run + element) * lanes + (channel - first)) * bytes
  }

  #integer(address: number): number {
    return this.#memory.getInt32(address, true)
  }

  #float(address: number): number {
    return this.#memory.getFloat32(address, true)
  }
}

function ones(word: number): number {
  let count = 0
  for (let rest = word >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) count++
  return count
}
