import { createHash } from 'node:crypto'
import { XnordError } from '../../errors.ts'

const KEY = '"digest":"'
const HEX_BYTES = 64
const ZEROS = '0'.repeat(HEX_BYTES)

/** The digest's value in a file that does not have it yet. */
export const BLANK_DIGEST = ZEROS

export interface FileDigest {
  /** What the header says. */
  readonly stated: string
  /** SHA-256 of the file with the stated digest read as zeros. */
  readonly computed: string
  /** Where the digest's characters begin. */
  readonly offset: number
}

/**
 * @param headerEnd the digest lies before this byte
 * @throws MODEL_HEADER_INVALID where the header does not hold exactly one digest
 */
export function fileDigest(bytes: Uint8Array, headerEnd: number): FileDigest {
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, headerEnd)
  const key = header.indexOf(KEY)
  const offset = key + KEY.length
  const stated = header.toString('latin1', offset, offset + HEX_BYTES)
  if (key < 0 || header.lastIndexOf(KEY) !== key || !/^[0-9a-f]{64}$/.test(stated)) {
    throw new XnordError(
      'MODEL_HEADER_INVALID',
      '__metadata__.digest is not there exactly once, as 64 hexadecimal digits',
    )
  }
  const computed = createHash('sha256')
    .update(bytes.subarray(0, offset))
    .update(ZEROS)
    .update(bytes.subarray(offset + HEX_BYTES))
    .digest('hex')
  return { stated, computed, offset }
}
