/** The forward pass alone, as one worker runs it, on one core: batches of some rows of random pixels, for some seconds. */

import { readFileSync } from 'node:fs'
import { parseModel } from '../../src/engine/format.ts'
import { loadBackend } from '../../src/serving/backend.ts'
import { Random } from '../../test/random-model.ts'
import { openArena, openRunner } from '../arena.ts'

const [file, rowsText, secondsText] = process.argv.slice(2)
const rows = Number(rowsText)
const arena = openArena(parseModel(readFileSync(file)))
const { slot } = openRunner(arena, (await loadBackend(undefined)).backend)
const pixels = new Random(1).bytes(rows * arena.plan.rowBytes)
const batches = Math.ceil(rows / arena.plan.maxRows)

/** Rows a second. */
function measure(seconds: number): number {
  const begin = performance.now()
  const end = begin + seconds * 1000
  let done = 0
  while (performance.now() < end) {
    for (let batch = 0; batch < batches; batch++) {
      const first = batch * arena.plan.maxRows
      const count = Math.min(arena.plan.maxRows, rows - first)
      slot.classify(
        pixels.subarray(first * arena.plan.rowBytes, (first + count) * arena.plan.rowBytes),
        count,
        1,
      )
    }
    done += rows
  }
  return (done / (performance.now() - begin)) * 1000
}

measure(0.5)
console.log(JSON.stringify(measure(Number(secondsText))))
