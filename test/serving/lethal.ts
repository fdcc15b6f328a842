import type { Row } from '../../src/serving/types.ts'
import { tinyRows } from './tiny.ts'

/** How a row may kill the worker that computes it. */
export const deaths = ['exit', 'memory', 'error'] as const
export type Death = (typeof deaths)[number]

/** No row of the check vectors begins so. */
export const mark = [0xde, 0xad, 0xbe, 0xef] as const

/** A row of pixels of which a worker of `mortal-worker.ts` dies, if its thread's id is not above the one named. */
export function lethal(death: Death, lastThread: number): Row {
  const bytes = tinyRows[0].bytes.slice()
  bytes.set([...mark, deaths.indexOf(death), lastThread])
  return { kind: 'pixels', bytes }
}
