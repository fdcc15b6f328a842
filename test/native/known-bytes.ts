import type { Piece } from './case-file.ts'

/** Memory of which only some bytes are known: the rest may be anything. */
export class KnownBytes {
  readonly #bytes: Uint8Array
  readonly #known: Uint8Array

  constructor(size: number) {
    this.#bytes = new Uint8Array(size)
    this.#known = new Uint8Array(size)
  }

  get size(): number {
    return this.#bytes.length
  }

  /** What lies outside is dropped. */
  set(offset: number, bytes: Uint8Array): void {
    for (let i = Math.max(0, -offset); i < bytes.length && offset + i < this.size; i++) {
      this.#bytes[offset + i] = bytes[i]
      this.#known[offset + i] = 1
    }
  }

  /** The known bytes, as few pieces as possible. */
  pieces(): readonly Piece[] {
    const pieces: Piece[] = []
    let end = 0
    for (;;) {
      const begin = this.#known.indexOf(1, end)
      if (begin < 0) return pieces
      const stop = this.#known.indexOf(0, begin)
      end = stop < 0 ? this.size : stop
      pieces.push({ offset: begin, bytes: this.#bytes.subarray(begin, end) })
    }
  }
}
