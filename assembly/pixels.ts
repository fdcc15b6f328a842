import { storeFloats } from './output'
import * as Step from './step'

// Sums of pixels: unsigned bytes by int8 weights, both widened to int16 as they are loaded. Two output channels lie
// side by side in a vector, each with the four taps of a group:
//
//   pixels    [p0 p1 p2 p3 | p0 p1 p2 p3]    a group, broadcast
//   weights   [c0 c0 c0 c0 | c1 c1 c1 c1]    the same taps of two channels
//   i32x4.dot_i16x8_s                        two sums a channel, which are added when the window is done
//
// The tile is 4 windows × 4 channels: for 8 dot products and 8 additions, 64 products, 2 loads that widen weights and
// 4 that broadcast and widen pixels. The windows are those of a pool, or four in a line.

export function pixels(step: usize, slot: usize, rows: usize): void {
  const channels = Step.channels(step)
  const pool = Step.pool(step)
  const height = Step.height(step)
  const width = Step.width(step)
  const inputStepX = Step.inputStepX(step)
  const inputStepY = Step.inputStepY(step)
  for (let channel: usize = 0; channel < channels; channel += 16) {
    for (let row: usize = 0; row < rows; row++) {
      for (let y: usize = 0; y < height; y++) {
        const from = slot + Step.input(step) + row * Step.inputRow(step) + y * pool * inputStepY
        const to = slot + Step.output(step) + row * Step.outputRow(step) + y * Step.outputLine(step)
        if (pool == 2) {
          for (let x: usize = 0; x < width; x++) {
            const a = from + 2 * x * inputStepX
            const c = a + inputStepY
            windows(step, channel, a, a + inputStepX, c, c + inputStepX, to + x * Step.outputPixel(step), 1)
          }
        } else {
          for (let x: usize = 0; x < width; x += 4) {
            const a = from + x * inputStepX
            const count = min<usize>(4, width - x)
            // What is missing of the four reads the first window again, and is not stored.
            const b = count > 1 ? a + inputStepX : a
            const c = count > 2 ? b + inputStepX : a
            const d = count > 3 ? c + inputStepX : a
            windows(step, channel, a, b, c, d, to + x * Step.outputPixel(step), count)
          }
        }
      }
    }
  }
}

/** @param count of outputs that four windows give, 1 where they are pooled */
function windows(
  step: usize, channel: usize, a: usize, b: usize, c: usize, d: usize, to: usize, count: usize,
): void {
  const lines = Step.lines(step)
  const runBytes = Step.run(step) * 4
  const inputLine = Step.inputLine(step)
  const outputPixel = Step.outputPixel(step)
  const block = channel & ~31
  const groupBytes = Step.blockLanes(step, block) * 4
  const first = Step.weights(step) + (block * Step.planes(step) * lines * runBytes + (channel - block) * 4)
  const limits = Step.limits(step) + channel * 4
  let bitsA: u32 = 0, bitsB: u32 = 0, bitsC: u32 = 0, bitsD: u32 = 0
  for (let tile: usize = 0; tile < 4; tile++) {
    let w = first + tile * 16
    let a0 = i32x4.splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0
    let shifts = Step.shifts(step)
    for (let plane = Step.planes(step); plane != 0; plane--) {
      const shift = shifts & 15
      if (shift) {
        a0 = i32x4.shl(a0, shift)
        a1 = i32x4.shl(a1, shift)
        b0 = i32x4.shl(b0, shift)
        b1 = i32x4.shl(b1, shift)
        c0 = i32x4.shl(c0, shift)
        c1 = i32x4.shl(c1, shift)
        d0 = i32x4.shl(d0, shift)
        d1 = i32x4.shl(d1, shift)
      }
      shifts >>= 4
      let offset: usize = 0
      for (let line: usize = 0; line < lines; line++) {
        const end = offset + runBytes
        for (let i = offset; i < end; i += 4) {
          const w0 = v128.load_ext<i8>(w)
          const w1 = v128.load_ext<i8>(w, 8)
          w += groupBytes
          const pa = i16x8.extend_low_i8x16_u(v128.load32_splat(a + i))
          a0 = i32x4.add(a0, i32x4.dot_i16x8_s(pa, w0))
          a1 = i32x4.add(a1, i32x4.dot_i16x8_s(pa, w1))
          const pb = i16x8.extend_low_i8x16_u(v128.load32_splat(b + i))
          b0 = i32x4.add(b0, i32x4.dot_i16x8_s(pb, w0))
          b1 = i32x4.add(b1, i32x4.dot_i16x8_s(pb, w1))
          const pc = i16x8.extend_low_i8x16_u(v128.load32_splat(c + i))
          c0 = i32x4.add(c0, i32x4.dot_i16x8_s(pc, w0))
          c1 = i32x4.add(c1, i32x4.dot_i16x8_s(pc, w1))
          const pd = i16x8.extend_low_i8x16_u(v128.load32_splat(d + i))
          d0 = i32x4.add(d0, i32x4.dot_i16x8_s(pd, w0))
          d1 = i32x4.add(d1, i32x4.dot_i16x8_s(pd, w1))
        }
        offset += inputLine
      }
    }
    const sumsA = fold(a0, a1), sumsB = fold(b0, b1), sumsC = fold(c0, c1), sumsD = fold(d0, d1)
    if (Step.floats(step)) {
      const at = channel * 4 + tile * 16
      storeSums(step, to, at, sumsA)
      if (count > 1) storeSums(step, to + outputPixel, at, sumsB)
      if (count > 2) storeSums(step, to + 2 * outputPixel, at, sumsC)
      if (count > 3) storeSums(step, to + 3 * outputPixel, at, sumsD)
    } else {
      const limit = v128.load(limits + tile * 16)
      const at = i32(tile * 4)
      bitsA |= i32x4.bitmask(i32x4.ge_s(sumsA, limit)) << at
      bitsB |= i32x4.bitmask(i32x4.ge_s(sumsB, limit)) << at
      bitsC |= i32x4.bitmask(i32x4.ge_s(sumsC, limit)) << at
      bitsD |= i32x4.bitmask(i32x4.ge_s(sumsD, limit)) << at
    }
  }
  if (Step.floats(step)) return
  const output = to + (channel >> 3)
  if (Step.pool(step) == 2) {
    store<u16>(output, <u16>(bitsA | bitsB | bitsC | bitsD))
    return
  }
  store<u16>(output, <u16>bitsA)
  if (count > 1) store<u16>(output + outputPixel, <u16>bitsB)
  if (count > 2) store<u16>(output + 2 * outputPixel, <u16>bitsC)
  if (count > 3) store<u16>(output + 3 * outputPixel, <u16>bitsD)
}

// @ts-ignore: decorator
@inline
function storeSums(step: usize, pixel: usize, at: usize, sums: v128): void {
  storeFloats(step, pixel, at, f32x4.convert_i32x4_s(i32x4.sub(sums, v128.load(Step.totals(step) + at))))
}

/** Two sums of each of two channels and two more, to one of each. */
// @ts-ignore: decorator
@inline
function fold(low: v128, high: v128): v128 {
  return i32x4.add(v128.shuffle<i32>(low, high, 0, 2, 4, 6), v128.shuffle<i32>(low, high, 1, 3, 5, 7))
}
