/** Tensors as the protocol's binary data: little-endian, row-major, without padding. */

const lengthBytes = 4

/**
 * The elements of a BYTES tensor, each behind its length in 4 bytes, as views.
 *
 * @param count of the elements that the bytes must be
 * @param invalid makes the error of bytes that are not so
 */
export function readElements(
  bytes: Uint8Array,
  count: number,
  invalid: (what: string) => Error,
): readonly Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const elements: Uint8Array[] = []
  let at = 0
  while (elements.length < count) {
    const begin = at + lengthBytes
    const end = begin <= bytes.length ? begin + view.getUint32(at, true) : Number.POSITIVE_INFINITY
    if (end > bytes.length) throw invalid(`element ${elements.length} ends beyond the binary data`)
    elements.push(bytes.subarray(begin, end))
    at = end
  }
  if (at < bytes.length) throw invalid(`more binary data follow its ${count} elements`)
  return elements
}

/** A BYTES tensor of texts in UTF-8. */
export function writeElements(texts: readonly string[]): Uint8Array {
  const bytes = Buffer.allocUnsafe(
    texts.reduce((sum, text) => sum + lengthBytes + Buffer.byteLength(text), 0),
  )
  let at = 0
  for (const text of texts) {
    const length = bytes.write(text, at + lengthBytes)
    bytes.writeUInt32LE(length, at)
    at += lengthBytes + length
  }
  return bytes
}

/**
 * Makes a byte of each bit: 0, or `one`.
 *
 * @param begin byte in `bits` whose lowest bit is the first
 */
export function spreadBits(
  bits: Uint8Array,
  begin: number,
  one: number,
  target: Uint8Array,
  at: number,
  count: number,
): void {
  for (let index = 0; index < count; index++) {
    target[at + index] = one * ((bits[begin + (index >> 3)]! >> (index & 7)) & 1)
  }
}
