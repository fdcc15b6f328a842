import { mixedDistances } from './bits-mixed'
import { scalarDistances } from './bits-scalar'
import { simdDistances } from './bits-simd'
import { storeFloats } from './output'
import * as Step from './step'

// Sums over windows of bits. Of n weights that are not masked the sum is n − 2d, d the number of products that are −1:
//
//   binary          d = Σ popcount(a ⊕ s)
//   masked          d = Σ popcount((a ⊕ s) ∧ m)
//   several planes  d = (d of the planes before << shift) + the plane's
//
// 16 output channels at a time go over all windows of the batch: their weights stay in the nearest cache, and their
// bits are two bytes of the output. A tile is 1 window × 4 channels, so that a pool or a width asks for no remainder.

/** How the channels of a block lie, for one word of a window: [sign, then mask where masked][lanes] words. */
const CHANNEL_BYTES: usize = 8

/** Where a word of a window is compared and counted: see the files of the same names. */
const SCALAR: u32 = 0
const MIXED: u32 = 1
const SIMD: u32 = 2

/** From so many words on, adders save more than weighing at the end what is left in them takes. */
const LONG_WINDOW: usize = 32

/** Bits are counted in 64-bit registers. Vectors add them first where there are many words, or masks of a channel. */
export function scalarBits(step: usize, slot: usize, rows: usize): void {
  const channels = Step.channels(step)
  const long = Step.lines(step) * Step.run(step) >= LONG_WINDOW
  for (let channel: usize = 0; channel < channels; channel += 16) {
    const wide = Step.blockLanes(step, channel & ~31) == 32
    if (!Step.masked(step)) {
      if (long) {
        if (wide) mixedBinary32(step, slot, rows, channel)
        else mixedBinary16(step, slot, rows, channel)
      } else {
        if (wide) scalarBinary32(step, slot, rows, channel)
        else scalarBinary16(step, slot, rows, channel)
      }
    } else if (sharesMasks(step, channel)) {
      if (wide) scalarShared32(step, slot, rows, channel)
      else scalarShared16(step, slot, rows, channel)
    } else {
      if (wide) mixedMasked32(step, slot, rows, channel)
      else mixedMasked16(step, slot, rows, channel)
    }
  }
}

export function simdBits(step: usize, slot: usize, rows: usize): void {
  const channels = Step.channels(step)
  for (let channel: usize = 0; channel < channels; channel += 16) {
    const wide = Step.blockLanes(step, channel & ~31) == 32
    if (Step.masked(step)) {
      if (wide) simdMasked32(step, slot, rows, channel)
      else simdMasked16(step, slot, rows, channel)
    } else {
      if (wide) simdBinary32(step, slot, rows, channel)
      else simdBinary16(step, slot, rows, channel)
    }
  }
}

/**
 * Whether the masks of a word are the same in 16 channels: those of runs that end within a word are, those of ternary
 * weights differ in the first words already.
 */
function sharesMasks(step: usize, channel: usize): bool {
  const block = channel & ~31
  const masks = Step.blockLanes(step, block) * CHANNEL_BYTES
  let words = Step.planes(step) * Step.lines(step) * Step.run(step)
  let w = Step.weights(step) + block * words * 2 * CHANNEL_BYTES + (channel - block) * CHANNEL_BYTES
  for (; words != 0; words--) {
    const mask = v128.load64_splat(w + masks)
    let others = i32x4.splat(0)
    for (let at: usize = 0; at < 16 * CHANNEL_BYTES; at += 16) {
      others = v128.or(others, v128.xor(v128.load(w + masks + at), mask))
    }
    if (v128.any_true(others)) return false
    w += 2 * masks
  }
  return true
}

// Each of these is compiled on its own, so that its strides are constants.

function scalarBinary16(step: usize, slot: usize, rows: usize, channel: usize): void {
  sixteenChannels(step, slot, rows, channel, SCALAR, false, 16)
}

function scalarBinary32(step: usize, slot: usize, rows: usize, channel: usize): void {
  sixteenChannels(step, slot, rows, channel, SCALAR, false, 32)
}

function scalarShared16(step: usize, slot: usize, rows: usize, channel: usize): void {
  sixteenChannels(step, slot, rows, channel, SCALAR, true, 16)
}

function scalarShared32(step: usize, slot: usize, rows: usize, channel: usize): void {
  sixteenChannels(step, slot, rows, channel, SCALAR, true, 32)
}

function mixedBinary16(step: usize, slot: usize, rows: usize, channel: usize): void {
  sixteenChannels(step, slot, rows, channel, MIXED, false, 16)
}

function mixedBinary32(step: usize, slot: usize, rows: usize, channel: usize): void {
  sixteenChannels(step, slot, rows, channel, MIXED, false, 32)
}

function mixedMasked16(step: usize, slot: usize, rows: usize, channel: usize): void {
  sixteenChannels(step, slot, rows, channel, MIXED, true, 16)
}

function mixedMasked32(step: usize, slot: usize, rows: usize, channel: usize): void {
  sixteenChannels(step, slot, rows, channel, MIXED, true, 32)
}

function simdBinary16(step: usize, slot: usize, rows: usize, channel: usize): void {
  sixteenChannels(step, slot, rows, channel, SIMD, false, 16)
}

function simdBinary32(step: usize, slot: usize, rows: usize, channel: usize): void {
  sixteenChannels(step, slot, rows, channel, SIMD, false, 32)
}

function simdMasked16(step: usize, slot: usize, rows: usize, channel: usize): void {
  sixteenChannels(step, slot, rows, channel, SIMD, true, 16)
}

function simdMasked32(step: usize, slot: usize, rows: usize, channel: usize): void {
  sixteenChannels(step, slot, rows, channel, SIMD, true, 32)
}

// @ts-ignore: decorator
@inline
function sixteenChannels(
  step: usize, slot: usize, rows: usize, channel: usize, counter: u32, masked: bool, lanes: usize,
): void {
  const block = channel & ~31
  const lines = Step.lines(step)
  const run = Step.run(step)
  const inputLine = Step.inputLine(step)
  const planes = Step.planes(step)
  const shifts = Step.shifts(step)
  const planeBytes = lines * run * (masked ? 2 : 1) * CHANNEL_BYTES
  const weights = Step.weights(step) + block * planes * planeBytes + (channel - block) * CHANNEL_BYTES
  const height = Step.height(step)
  const width = Step.width(step)
  const pool = Step.pool(step)
  const windows = pool * pool
  const floats = Step.floats(step)
  const inputStepX = Step.inputStepX(step)
  const inputStepY = Step.inputStepY(step)
  const limits = Step.limits(step) + channel * 4
  for (let row: usize = 0; row < rows; row++) {
    for (let y: usize = 0; y < height; y++) {
      // As Step.window and Step.pixel have it: through them ResNet-18 takes 1 % longer.
      let from = slot + Step.input(step) + row * Step.inputRow(step) + y * pool * inputStepY
      let to = slot + Step.output(step) + row * Step.outputRow(step) + y * Step.outputLine(step)
      for (let x: usize = 0; x < width; x++) {
        let bits: u32 = 0
        let w = weights
        for (let tile: usize = 0; tile < 64; tile += 16) {
          const limit = v128.load(limits + tile)
          let fires = i32x4.splat(0)
          let window = from
          for (let left = windows; ; ) {
            const distances = sumPlanes(
              window, w, planes, shifts, planeBytes * lanes,
              lines, run, inputLine, counter, masked, lanes,
            )
            if (floats) {
              const at = channel * 4 + tile
              const sums = i32x4.sub(v128.load(Step.totals(step) + at), i32x4.shl(distances, 1))
              storeFloats(step, to, at, f32x4.convert_i32x4_s(sums))
            } else {
              fires = v128.or(fires, i32x4.le_s(distances, limit))
            }
            if (--left == 0) break
            window += left == 2 ? inputStepY - inputStepX : inputStepX
          }
          bits |= i32x4.bitmask(fires) << i32(tile >> 2)
          w += 4 * CHANNEL_BYTES
        }
        if (!floats) store<u16>(to + (channel >> 3), <u16>bits)
        from += pool * inputStepX
        to += Step.outputPixel(step)
      }
    }
  }
}

/** The distances of a window to the weights of four channels, all planes. */
// @ts-ignore: decorator
@inline
function sumPlanes(
  window: usize, weights: usize, planes: usize, shifts: u32, planeBytes: usize,
  lines: usize, run: usize, inputLine: usize, counter: u32, masked: bool, lanes: usize,
): v128 {
  let sums = i32x4.splat(0)
  while (true) {
    let distances: v128
    if (counter == SIMD) {
      distances = simdDistances(window, weights, lines, run, inputLine, masked, lanes)
    } else if (counter == MIXED) {
      distances = mixedDistances(window, weights, lines, run, inputLine, masked, lanes)
    } else {
      distances = scalarDistances(window, weights, lines, run, inputLine, masked, lanes)
    }
    sums = i32x4.add(sums, distances)
    if (--planes == 0) break
    weights += planeBytes
    shifts >>= 4
    sums = i32x4.shl(sums, shifts & 15)
  }
  return sums
}
