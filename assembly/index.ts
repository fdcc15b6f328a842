// The wasm kernels. Built by `asc assembly/index.ts --config assembly/asconfig.json --outFile dist/kernels.wasm`.

import { bits } from './bits'
import { pixels } from './pixels'
import * as Step from './step'
import { widen } from './widen'

/**
 * One fused step over a batch: src/engine/kernels/kernels.ts is the contract.
 *
 * @param step address of the step's table
 * @param slot address of the slot that holds the batch
 */
export function run(step: usize, slot: usize, rows: usize): void {
  switch (Step.kind(step)) {
    case Step.WIDEN:
      widen(step, slot, rows)
      break
    case Step.PIXELS:
      pixels(step, slot, rows)
      break
    default:
      bits(step, slot, rows)
  }
}
