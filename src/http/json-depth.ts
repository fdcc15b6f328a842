const quote = 0x22
const backslash = 0x5c
/** Brackets and braces differ in this bit alone: with it set, only these four bytes are `{` or `}`. */
const braceBit = 0x20
const open = 0x7b
const close = 0x7d

/**
 * Whether arrays and objects are nested in each other more than `limit` deep. One pass, without parsing: millions of
 * brackets keep `JSON.parse` busy for seconds.
 *
 * @param text JSON in UTF-8; of what is not JSON the answer means nothing, but costs no more
 */
export function isNestedDeeper(text: Uint8Array, limit: number): boolean {
  let depth = 0
  let inString = false
  for (let at = 0; at < text.length; at++) {
    const byte = text[at]!
    if (inString) {
      if (byte === backslash) at++
      else if (byte === quote) inString = false
    } else if (byte === quote) inString = true
    else if ((byte | braceBit) === open) {
      if (++depth > limit) return true
    } else if ((byte | braceBit) === close) depth--
  }
  return false
}
