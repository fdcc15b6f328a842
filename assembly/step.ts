// The table of a step. src/engine/kernels/step.ts says what each field means; the order is the same.
//
// All instances of this module share one memory, so nothing here may have a static, an array or an object: only
// constants, and addresses that the caller gives.
//
// A decorator on a function is AssemblyScript's, and to editors, which read TypeScript, an error: hence each @ts-ignore.

export const WIDEN: usize = 0
export const PIXELS: usize = 1
export const BITS: usize = 2

// @ts-ignore: decorator
@inline export function kind(step: usize): usize { return load<u32>(step, 0) }
// @ts-ignore: decorator
@inline export function masked(step: usize): bool { return load<u32>(step, 4) != 0 }
// @ts-ignore: decorator
@inline export function floats(step: usize): bool { return load<u32>(step, 8) != 0 }
// @ts-ignore: decorator
@inline export function pool(step: usize): usize { return load<u32>(step, 12) }
// @ts-ignore: decorator
@inline export function input(step: usize): usize { return load<u32>(step, 16) }
// @ts-ignore: decorator
@inline export function inputRow(step: usize): usize { return load<u32>(step, 20) }
// @ts-ignore: decorator
@inline export function inputLine(step: usize): usize { return load<u32>(step, 24) }
// @ts-ignore: decorator
@inline export function inputStepX(step: usize): usize { return load<u32>(step, 28) }
// @ts-ignore: decorator
@inline export function inputStepY(step: usize): usize { return load<u32>(step, 32) }
// @ts-ignore: decorator
@inline export function lines(step: usize): usize { return load<u32>(step, 36) }
// @ts-ignore: decorator
@inline export function run(step: usize): usize { return load<u32>(step, 40) }
// @ts-ignore: decorator
@inline export function output(step: usize): usize { return load<u32>(step, 44) }
// @ts-ignore: decorator
@inline export function outputRow(step: usize): usize { return load<u32>(step, 48) }
// @ts-ignore: decorator
@inline export function outputLine(step: usize): usize { return load<u32>(step, 52) }
// @ts-ignore: decorator
@inline export function outputPixel(step: usize): usize { return load<u32>(step, 56) }
// @ts-ignore: decorator
@inline export function height(step: usize): usize { return load<u32>(step, 60) }
// @ts-ignore: decorator
@inline export function width(step: usize): usize { return load<u32>(step, 64) }
// @ts-ignore: decorator
@inline export function channels(step: usize): usize { return load<u32>(step, 68) }
// @ts-ignore: decorator
@inline export function weights(step: usize): usize { return load<u32>(step, 72) }
// @ts-ignore: decorator
@inline export function limits(step: usize): usize { return load<u32>(step, 76) }
// @ts-ignore: decorator
@inline export function totals(step: usize): usize { return load<u32>(step, 80) }
// @ts-ignore: decorator
@inline export function scales(step: usize): usize { return load<u32>(step, 84) }
// @ts-ignore: decorator
@inline export function biases(step: usize): usize { return load<u32>(step, 88) }

/** Output positions of a batch, rows before lines before pixels. */
export function positions(step: usize, rows: usize): usize {
  return rows * height(step) * width(step)
}

/** Address of the window of an output position; of the top left one of four where windows are pooled. */
export function inputAt(step: usize, slot: usize, position: usize): usize {
  const w = width(step)
  const h = height(step)
  const line = position / w
  const x = position - line * w
  const row = line / h
  const y = line - row * h
  return slot + input(step) + row * inputRow(step) + pool(step) * (y * inputStepY(step) + x * inputStepX(step))
}

/** Address of an output position's pixel. */
export function outputAt(step: usize, slot: usize, position: usize): usize {
  const w = width(step)
  const h = height(step)
  const line = position / w
  const x = position - line * w
  const row = line / h
  const y = line - row * h
  return slot + output(step) + row * outputRow(step) + y * outputLine(step) + x * outputPixel(step)
}
