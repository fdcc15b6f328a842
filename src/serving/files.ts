import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { type ErrorCode, XnordError } from '../errors.ts'

/**
 * Reads a whole regular file, or a link to one, whose size is looked at before anything is allocated.
 *
 * @param limit bytes
 * @throws MODEL_UNREADABLE, and `tooLarge` beyond the limit
 */
export async function readBounded(
  path: string,
  limit: number,
  tooLarge: ErrorCode,
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    // Without O_NONBLOCK the mere opening of a pipe waits for a writer.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stat = await file.stat()
      if (!stat.isFile()) throw new XnordError('MODEL_UNREADABLE', `${path} is not a file.`)
      if (stat.size > limit) {
        throw new XnordError(tooLarge, `${path} has ${stat.size} bytes, and ${limit} are allowed.`)
      }
      const bytes = new Uint8Array(stat.size)
      let length = 0
      while (length < bytes.length) {
        const { bytesRead } = await file.read(bytes, length, bytes.length - length, length)
        if (bytesRead === 0) throw new XnordError('MODEL_UNREADABLE', `${path} shrank while it was read.`)
        length += bytesRead
      }
      return bytes
    } finally {
      await file.close()
    }
  } catch (thrown) {
    if (thrown instanceof XnordError) throw thrown
    throw new XnordError('MODEL_UNREADABLE', `${path} cannot be read: ${(thrown as Error).message}.`, {
      cause: thrown,
    })
  }
}
