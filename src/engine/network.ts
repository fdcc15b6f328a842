/** A planned model on an arena: batches of pixels to logits. */

import { createHash } from 'node:crypto'
import { XnordError } from '../errors.ts'
import type { Classifier } from './classifier.ts'
import { DIGEST_BYTES } from './format/tensors.ts'
import type { Check } from './format.ts'
import type { Kernels } from './kernels/kernels.ts'
import { type Plan, stepAddress } from './plan.ts'
import { gather } from './values.ts'

/** One place for a batch in the arena. Whoever holds it is its only user until the logits are there. */
export interface NetworkSlot extends Classifier {
  readonly members: number
  readonly operationNames: readonly string[]
  /** maxRows × rowBytes bytes of the arena: pixels that are written here need no copying. */
  readonly pixels: Uint8Array
  /** @throws RangeError for rows or members out of range, or too few pixels */
  classify(pixels: Uint8Array, rows: number, members: number): Float32Array
  /**
   * Runs one member and gives each operation's output, in order: bits as [rows, H, W, 8⌈C/64⌉] bytes, floats as
   * little-endian float32 [rows, H, W, C]. An operation runs when its output is asked for, in the same slot: take them
   * all before anything else runs there.
   *
   * @throws RangeError at once for rows or member out of range, or too few pixels
   */
  trace(pixels: Uint8Array, rows: number, member: number): IterableIterator<Uint8Array>
}

/** Stateless beside the arena: any number of threads may each have one on the same arena. */
export class Network {
  readonly #plan: Plan
  readonly #arena: SharedArrayBuffer
  readonly #kernels: Pick<Kernels, 'run'>

  /** @param arena filled by `fillArena`, and the memory that the kernels see */
  constructor(plan: Plan, arena: SharedArrayBuffer, kernels: Pick<Kernels, 'run'>) {
    this.#plan = plan
    this.#arena = arena
    this.#kernels = kernels
  }

  /** @param index 0..plan.slots − 1 */
  slot(index: number): NetworkSlot {
    const plan = this.#plan
    checkRange('slot', index, 0, plan.slots - 1)
    const address = plan.slotsAddress + index * plan.slotBytes
    return new ArenaSlot(plan, new Uint8Array(this.#arena, address, plan.slotBytes), this.#kernels)
  }
}

class ArenaSlot implements NetworkSlot {
  readonly pixels: Uint8Array
  readonly #plan: Plan
  readonly #bytes: Uint8Array
  readonly #kernels: Pick<Kernels, 'run'>

  constructor(plan: Plan, bytes: Uint8Array, kernels: Pick<Kernels, 'run'>) {
    this.#plan = plan
    this.#bytes = bytes
    this.#kernels = kernels
    this.pixels = bytes.subarray(plan.pixelsOffset, plan.pixelsOffset + plan.maxRows * plan.rowBytes)
  }

  get rowBytes(): number {
    return this.#plan.rowBytes
  }

  get classes(): number {
    return this.#plan.classes
  }

  get maxRows(): number {
    return this.#plan.maxRows
  }

  get members(): number {
    return this.#plan.members
  }

  get operationNames(): readonly string[] {
    return this.#plan.operationNames
  }

  classify(pixels: Uint8Array, rows: number, members: number): Float32Array {
    checkRange('members', members, 1, this.members)
    this.#load(pixels, rows)
    const { classes } = this
    const logits = new Float32Array(rows * members * classes)
    const { values, stride } = this.#output(rows)
    for (let member = 0; member < members; member++) {
      this.#run(member, 0, this.#plan.stepsPerMember, rows)
      for (let row = 0; row < rows; row++) {
        // A view of each row, to be copied at once, would cost more than its few numbers.
        const from = row * stride
        const to = (row * members + member) * classes
        for (let c = 0; c < classes; c++) logits[to + c] = values[from + c]
      }
    }
    return logits
  }

  trace(pixels: Uint8Array, rows: number, member: number): IterableIterator<Uint8Array> {
    checkRange('member', member, 0, this.members - 1)
    this.#load(pixels, rows)
    return this.#outputs(rows, member)
  }

  *#outputs(rows: number, member: number): IterableIterator<Uint8Array> {
    const { outputs, firstOperation } = this.#plan
    this.#run(member, 0, firstOperation, rows)
    for (const [operation, output] of outputs.entries()) {
      this.#run(member, firstOperation + operation, 1, rows)
      yield gather(this.#bytes, output, rows)
    }
  }

  #load(pixels: Uint8Array, rows: number): void {
    checkRange('rows', rows, 1, this.maxRows)
    const bytes = rows * this.rowBytes
    if (pixels.length < bytes)
      throw new RangeError(`${rows} rows need ${bytes} bytes of pixels, not ${pixels.length}`)
    const { buffer, byteOffset } = this.pixels
    const here = pixels.buffer === buffer && pixels.byteOffset === byteOffset
    if (!here) this.pixels.set(pixels.subarray(0, bytes))
  }

  #run(member: number, step: number, steps: number, rows: number): void {
    if (steps === 0) return
    this.#kernels.run(stepAddress(this.#plan, member, step), steps, this.#bytes.byteOffset, rows)
  }

  /** The logits where the last step leaves them: those of a row begin `stride` behind those of the one before. */
  #output(rows: number): { readonly values: Float32Array; readonly stride: number } {
    const { offset, row } = this.#plan.outputs[this.#plan.outputs.length - 1]
    const { buffer, byteOffset } = this.#bytes
    const stride = row / Float32Array.BYTES_PER_ELEMENT
    return {
      values: new Float32Array(buffer, byteOffset + offset, (rows - 1) * stride + this.classes),
      stride,
    }
  }
}

/**
 * Replays all of a model's check vectors: what every thread does on its backend before it serves.
 *
 * @throws MODEL_CHECK_FAILED naming the first member and operation that differ
 */
export function verifyNetwork(slot: NetworkSlot, check: Check): void {
  const { operationNames, classes, rowBytes, maxRows } = slot
  for (let member = 0; member < slot.members; member++) {
    const hashes = operationNames.map(() => createHash('sha256'))
    const logits: Uint8Array[] = []
    for (let begin = 0; begin < check.rows; begin += maxRows) {
      const rows = Math.min(maxRows, check.rows - begin)
      let operation = 0
      // One output at a time: all of them could be many times as large as the slot.
      for (const output of slot.trace(check.image.subarray(begin * rowBytes), rows, member)) {
        hashes[operation++].update(output)
        if (operation === operationNames.length) logits.push(output)
      }
    }
    for (const [operation, hash] of hashes.entries()) {
      const begin = (member * operationNames.length + operation) * DIGEST_BYTES
      if (!hash.digest().equals(check.digest.subarray(begin, begin + DIGEST_BYTES))) {
        refuse(member, operationNames[operation], 'the output')
      }
    }
    const length = check.rows * classes
    const { buffer, byteOffset, byteLength } = check.logits.subarray(member * length, (member + 1) * length)
    if (!Buffer.concat(logits).equals(new Uint8Array(buffer, byteOffset, byteLength))) {
      refuse(member, operationNames[operationNames.length - 1], 'check.logits')
    }
  }
}

function refuse(member: number, operation: string, what: string): never {
  throw new XnordError('MODEL_CHECK_FAILED', `member ${member}, operation ${operation}: ${what} differs`)
}

function checkRange(what: string, value: number, low: number, high: number): void {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new RangeError(`${what} is ${value}, not an integer from ${low} to ${high}`)
  }
}
