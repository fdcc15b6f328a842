// The wasm kernels. Built by `asc assembly/index.ts --config assembly/asconfig.json --outFile dist/kernels.wasm`.
//
// asconfig.json names no memoryBase: so asc leaves the first 1024 bytes of the memory unused, as it would with one of
// 1024, but may also fold what is added to an address into the offset of its load.

import { averagePool } from './average-pool'
import { scalarBits, simdBits } from './bits'
import { prepareOutput } from './border'
import { image } from './image'
import { linear } from './linear'
import { pixels } from './pixels'
import { sign } from './sign'
import * as Step from './step'

/**
 * Steps that lie one behind the other, over a batch: src/engine/kernels/kernels.ts is the contract. Bits are counted
 * in 64-bit registers here, in vectors by `runSimd`; which is faster depends on the CPU.
 *
 * @param step address of the first step's table
 * @param slot address of the slot that holds the batch
 */
export function runScalar(step: usize, steps: usize, slot: usize, rows: usize): void {
  const end = step + steps * Step.STEP_BYTES
  for (; step < end; step += Step.STEP_BYTES) {
    prepareOutput(step, slot, rows)
    if (Step.kind(step) == Step.BITS) {
      scalarBits(step, slot, rows)
    } else {
      runOther(step, slot, rows)
    }
  }
}

/** As `runScalar`. */
export function runSimd(step: usize, steps: usize, slot: usize, rows: usize): void {
  const end = step + steps * Step.STEP_BYTES
  for (; step < end; step += Step.STEP_BYTES) {
    prepareOutput(step, slot, rows)
    if (Step.kind(step) == Step.BITS) {
      simdBits(step, slot, rows)
    } else {
      runOther(step, slot, rows)
    }
  }
}

function runOther(step: usize, slot: usize, rows: usize): void {
  switch (Step.kind(step)) {
    case Step.IMAGE:
      image(step, slot, rows)
      break
    case Step.PIXELS:
      pixels(step, slot, rows)
      break
    case Step.LINEAR:
      linear(step, slot, rows)
      break
    case Step.SIGN:
      sign(step, slot, rows)
      break
    default:
      averagePool(step, slot, rows)
  }
}
