/** Bits in 64-bit words: how many, and where. */

export const WORD_BITS = 64
export const WORD_BYTES = 8

/** Words that hold one bit for each of so many channels. */
export function wordsFor(channels: number): number {
  return Math.ceil(channels / WORD_BITS)
}

/** Bytes that hold so many taps in a model file, which packs them without padding to words. */
export function tapBytes(taps: number): number {
  return Math.ceil(taps / 8)
}

/** Bit i of a packed row: bit i & 7 of byte i >> 3. */
export function bitAt(packed: Uint8Array, index: number): number {
  return (packed[index >> 3] >> (index & 7)) & 1
}

/** Sets bit i of a packed row that was zero there. */
export function setBit(packed: Uint8Array, index: number): void {
  packed[index >> 3] |= 1 << (index & 7)
}

/** The number of ones. */
export function countOnes(packed: Uint8Array): number {
  let ones = 0
  for (const byte of packed) {
    let pairs = byte - ((byte >> 1) & 0x55)
    pairs = (pairs & 0x33) + ((pairs >> 2) & 0x33)
    ones += (pairs + (pairs >> 4)) & 0x0f
  }
  return ones
}
