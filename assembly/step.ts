// The table of a step. src/engine/kernels/step.ts says what each field means; the order is the same.
//
// All instances of this module share one memory, so nothing here may have a static, an array or an object: only
// constants, and addresses that the caller gives.
//
// A decorator on a function is AssemblyScript's, and to editors, which read TypeScript, an error: hence each @ts-ignore.

export const IMAGE: u32 = 0
export const PIXELS: u32 = 1
export const BITS: u32 = 2
export const LINEAR: u32 = 3
export const SIGN: u32 = 4
export const AVERAGE_POOL: u32 = 5

/** From a table to the next. */
export const STEP_BYTES: usize = 128

// @ts-ignore: decorator
@inline export function kind(step: usize): u32 { return load<u32>(step, 0) }
// @ts-ignore: decorator
@inline export function pool(step: usize): usize { return load<u32>(step, 4) }
// @ts-ignore: decorator
@inline export function floats(step: usize): bool { return load<u32>(step, 8) != 0 }
// @ts-ignore: decorator
@inline export function masked(step: usize): bool { return load<u32>(step, 12) != 0 }
// @ts-ignore: decorator
@inline export function planes(step: usize): usize { return load<u32>(step, 16) }
// @ts-ignore: decorator
@inline export function shifts(step: usize): u32 { return load<u32>(step, 20) }
// @ts-ignore: decorator
@inline export function input(step: usize): usize { return load<u32>(step, 24) }
// @ts-ignore: decorator
@inline export function inputRow(step: usize): usize { return load<u32>(step, 28) }
// @ts-ignore: decorator
@inline export function inputLine(step: usize): usize { return load<u32>(step, 32) }
// @ts-ignore: decorator
@inline export function inputStepX(step: usize): usize { return load<u32>(step, 36) }
// @ts-ignore: decorator
@inline export function inputStepY(step: usize): usize { return load<u32>(step, 40) }
// @ts-ignore: decorator
@inline export function lines(step: usize): usize { return load<u32>(step, 44) }
// @ts-ignore: decorator
@inline export function run(step: usize): usize { return load<u32>(step, 48) }
// @ts-ignore: decorator
@inline export function output(step: usize): usize { return load<u32>(step, 52) }
// @ts-ignore: decorator
@inline export function outputRow(step: usize): usize { return load<u32>(step, 56) }
// @ts-ignore: decorator
@inline export function outputLine(step: usize): usize { return load<u32>(step, 60) }
// @ts-ignore: decorator
@inline export function outputPixel(step: usize): usize { return load<u32>(step, 64) }
// @ts-ignore: decorator
@inline export function outputBorder(step: usize): usize { return load<u32>(step, 68) }
// @ts-ignore: decorator
@inline export function height(step: usize): usize { return load<u32>(step, 72) }
// @ts-ignore: decorator
@inline export function width(step: usize): usize { return load<u32>(step, 76) }
// @ts-ignore: decorator
@inline export function channels(step: usize): usize { return load<u32>(step, 80) }
// @ts-ignore: decorator
@inline export function addend(step: usize): usize { return load<u32>(step, 84) }
// @ts-ignore: decorator
@inline export function weights(step: usize): usize { return load<u32>(step, 88) }
// @ts-ignore: decorator
@inline export function limits(step: usize): usize { return load<u32>(step, 92) }
// @ts-ignore: decorator
@inline export function totals(step: usize): usize { return load<u32>(step, 96) }
// @ts-ignore: decorator
@inline export function scales(step: usize): usize { return load<u32>(step, 100) }
// @ts-ignore: decorator
@inline export function biases(step: usize): usize { return load<u32>(step, 104) }

/** Address of the first window of a line of windows, as they were before the pool. */
// @ts-ignore: decorator
@inline export function window(step: usize, slot: usize, row: usize, line: usize): usize {
  return slot + input(step) + row * inputRow(step) + line * inputStepY(step)
}

/** Address of the first pixel of a line of the output. */
// @ts-ignore: decorator
@inline export function pixel(step: usize, slot: usize, row: usize, line: usize): usize {
  return slot + output(step) + row * outputRow(step) + line * outputLine(step)
}

/** Channels of the block that begins with a channel, a multiple of 32. */
export function blockLanes(step: usize, channel: usize): usize {
  return channels(step) - channel <= 16 ? 16 : 32
}
