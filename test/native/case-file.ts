/** The file of cases that native/self-test reads: `native/self-test/cases.h` says how it lies. */

import { type Step, type StepField, stepFields } from '../../src/engine/kernels/step.ts'

/** Bytes at an offset of a buffer. */
export interface Piece {
  readonly offset: number
  readonly bytes: Uint8Array
}

/** `input`: only read. `output`: exactly the pieces after are written. `slot`: the pieces after are in it at the end. */
export const bufferKinds = { input: 0, output: 1, slot: 2 } as const

export interface CaseBuffer {
  readonly name: string
  readonly size: number
  /** That the kernels may count on, in bytes. */
  readonly alignment: number
  readonly kind: keyof typeof bufferKinds
  /** All else holds anything before the run, and must not matter. */
  readonly before: readonly Piece[]
  readonly after: readonly Piece[]
}

/** A field of a step that has to point into a buffer, wherever that lies. */
export interface Place {
  readonly step: number
  readonly field: StepField
  /** Index of the buffer. */
  readonly buffer: number
  readonly offset: number
}

export interface Case {
  readonly label: string
  readonly rows: number
  readonly steps: readonly Step[]
  readonly buffers: readonly CaseBuffer[]
  readonly places: readonly Place[]
}

/** Fields that count from the slot; all other places count from the arena's start. */
const slotFields: ReadonlySet<StepField> = new Set(['input', 'output', 'addend'])

export function encodeCases(cases: readonly Case[]): Uint8Array {
  const writer = new Writer()
  writer.bytes(new TextEncoder().encode('xnord-st'))
  writer.list(stepFields, field => writer.text(field))
  writer.list(cases, one => {
    writer.text(one.label)
    writer.integer(one.rows)
    writer.list(one.steps, step => {
      for (const field of stepFields) writer.integer(step[field])
    })
    writer.list(one.buffers, ({ name, size, alignment, kind, before, after }) => {
      writer.text(name)
      for (const value of [size, alignment, bufferKinds[kind]]) writer.integer(value)
      for (const pieces of [before, after]) {
        writer.list(pieces, ({ offset, bytes }) => {
          writer.integer(offset)
          writer.integer(bytes.length)
          writer.bytes(bytes)
        })
      }
    })
    writer.list(one.places, ({ step, field, buffer, offset }) => {
      for (const value of [step, stepFields.indexOf(field), slotFields.has(field) ? 1 : 0, buffer, offset]) {
        writer.integer(value)
      }
    })
  })
  return writer.result()
}

class Writer {
  #buffer = Buffer.alloc(2 ** 20)
  #end = 0

  integer(value: number): void {
    this.#reserve(4)
    this.#end = this.#buffer.writeUInt32LE(value, this.#end)
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.#end)
    this.#end += bytes.length
  }

  text(text: string): void {
    const bytes = new TextEncoder().encode(text)
    this.integer(bytes.length)
    this.bytes(bytes)
  }

  list<T>(items: readonly T[], write: (item: T) => void): void {
    this.integer(items.length)
    for (const item of items) write(item)
  }

  result(): Uint8Array {
    return this.#buffer.subarray(0, this.#end)
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#buffer.length) return
    const larger = Buffer.alloc(Math.max(2 * this.#buffer.length, this.#end + bytes))
    larger.set(this.#buffer)
    this.#buffer = larger
  }
}
