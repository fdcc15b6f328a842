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

/**
 * Copies bits from any bit of a packed row to the start of a byte; the rest of the last byte becomes 0.
 *
 * @param begin first bit in `source`
 * @param at first byte in `target`
 */
export function copyBits(
  source: Uint8Array,
  begin: number,
  count: number,
  target: Uint8Array,
  at: number,
): void {
  const shift = begin & 7
  for (let done = 0; done < count; done += 8) {
    const index = (begin + done) >> 3
    // Beyond the end there is nothing, which counts as 0.
    const pair = source[index] | (source[index + 1] << 8)
    const keep = Math.min(8, count - done)
    target[at + (done >> 3)] = (pair >> shift) & ((1 << keep) - 1)
  }
}

const onesOfByte = Uint8Array.from({ length: 256 }, (_, byte) => {
  let ones = 0
  for (let rest = byte; rest > 0; rest >>= 1) ones += rest & 1
  return ones
})

/**
 * The number of ones in bytes begin..end − 1. It counts while models are loaded, before V8 has compiled it: the fewest
 * steps win.
 */
export function countOnes(packed: Uint8Array, begin = 0, end = packed.length): number {
  let ones = 0
  for (let index = begin; index < end; index++) ones += onesOfByte[packed[index]]
  return ones
}

/**
 * Copies bits from the start of a byte to any bit of a packed row, whose bits from there on are 0 still.
 *
 * @param at first byte in `source`
 * @param begin first bit in `target`
 */
export function placeBits(
  source: Uint8Array,
  at: number,
  count: number,
  target: Uint8Array,
  begin: number,
): void {
  const shift = begin & 7
  for (let done = 0; done < count; done += 8) {
    const keep = Math.min(8, count - done)
    const pair = (source[at + (done >> 3)] & ((1 << keep) - 1)) << shift
    const index = (begin + done) >> 3
    target[index] |= pair
    if (pair > 0xff) target[index + 1] |= pair >> 8
  }
}
