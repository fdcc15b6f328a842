import { asXnordError, XnordError } from '../errors.ts'
import { probeImage } from '../images/probe.ts'
import type { LoadedModel } from './model.ts'
import type { Lane } from './queue.ts'
import type { PendingRequest, PendingRow } from './request.ts'
import type { Row } from './types.ts'

/** Images beyond either are decoded in a task of their own, so that they hold up nobody's batch. */
const ownTaskPixels = 2 ** 16
const ownTaskBytes = 2 ** 20

const decodeLane: Lane = { key: 'decode', maxItems: 1, returning: true, delay: 0 }

export interface Screened {
  readonly admitted: readonly { readonly item: PendingRow; readonly lane: Lane }[]
  readonly refused: readonly { readonly row: PendingRow; readonly error: XnordError }[]
}

/** Looks at each row without decoding it: which go into which lane, and which are hopeless. */
export function screen({ model, lane, rows }: PendingRequest, maxPixels: number): Screened {
  const admitted: { readonly item: PendingRow; readonly lane: Lane }[] = []
  const refused: { readonly row: PendingRow; readonly error: XnordError }[] = []
  let start = performance.now()
  for (const row of rows) {
    try {
      const needsOwnTask = probe(row.row, model, maxPixels)
      admitted.push({ item: row, lane: needsOwnTask ? decodeLane : lane })
    } catch (thrown) {
      refused.push({ row, error: asXnordError(thrown) })
    }
    row.waitingSince = performance.now()
    row.decoded = row.waitingSince - start
    start = row.waitingSince
  }
  return { admitted, refused }
}

/**
 * @returns whether the row is to be decoded in a task of its own
 * @throws PIXELS_LENGTH, IMAGE_*
 */
function probe({ kind, bytes }: Row, model: LoadedModel, maxPixels: number): boolean {
  if (kind === 'pixels') {
    const { rowBytes } = model.spec.plan
    if (bytes.length === rowBytes) return false
    throw new XnordError(
      'PIXELS_LENGTH',
      `The row has ${bytes.length} bytes, and the model takes ${rowBytes}.`,
    )
  }
  const { width, height } = probeImage(bytes, maxPixels)
  return width * height > ownTaskPixels || bytes.length > ownTaskBytes
}
