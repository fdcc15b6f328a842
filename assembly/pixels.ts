import { storeFloats } from './output'
import * as Step from './step'

// Sums of pixels: unsigned bytes by int8 weights, both widened to int16 as they are loaded. Two output channels lie
// side by side in a vector, each with the four taps of a group:
//
//   pixels    [p0 p1 p2 p3 | p0 p1 p2 p3]    a group, broadcast
//   weights   [c0 c0 c0 c0 | c1 c1 c1 c1]    the same taps of two channels
//   i32x4.dot_i16x8_s                        two sums a channel, which are added when the window is done
//
// The tile is 2 windows × 8 channels: for 64 products 8 dot products and 8 additions, 4 loads that widen weights and 2
// that broadcast pixels, which two operations widen. So 64 products take 22 operations that are not loads at least.

export function pixels(step: usize, slot: usize, rows: usize): void {
  const channels = Step.channels(step)
  // Bits of channels beyond the last are written, too: their limits are never reached.
  for (let channel: usize = 0; channel < ((channels + 15) & ~15); channel += 8) eightChannels(step, slot, rows, channel)
}

function eightChannels(step: usize, slot: usize, rows: usize, channel: usize): void {
  const height = Step.height(step)
  const width = Step.width(step)
  const pooled = Step.pool(step) == 2
  const floats = Step.floats(step)
  const planes = Step.planes(step)
  const lines = Step.lines(step)
  const runBytes = Step.run(step) * 4
  const inputLine = Step.inputLine(step)
  const inputStepX = Step.inputStepX(step)
  const inputStepY = Step.inputStepY(step)
  const outputPixel = Step.outputPixel(step)
  const block = channel & ~31
  const groupBytes = Step.blockLanes(step, block) * 4
  const weights = Step.weights(step) + block * planes * lines * runBytes + (channel - block) * 4
  const limits = Step.limits(step) + channel * 4
  const at = channel * 4
  for (let row: usize = 0; row < rows; row++) {
    for (let y: usize = 0; y < height; y++) {
      const from = slot + Step.input(step) + row * Step.inputRow(step) + (pooled ? 2 * y : y) * inputStepY
      let to = slot + Step.output(step) + row * Step.outputRow(step) + y * Step.outputLine(step)
      // A tile is two windows side by side, of one pool or of two outputs.
      const windows: usize = pooled ? 2 * width : width
      for (let x: usize = 0; x < windows; x += 2) {
        const alone = x + 1 == windows
        let bitsA: u32 = 0, bitsB: u32 = 0
        let upper = from + x * inputStepX
        for (let tiles: usize = pooled ? 2 : 1; tiles != 0; tiles--) {
          let w = weights
          let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0
          let shifts = Step.shifts(step)
          for (let plane: usize = 0; plane < planes; plane++) {
            if (plane != 0) {
              shifts >>= 4
              const shift = shifts & 15
              a0 = i32x4.shl(a0, shift)
              a1 = i32x4.shl(a1, shift)
              a2 = i32x4.shl(a2, shift)
              a3 = i32x4.shl(a3, shift)
              b0 = i32x4.shl(b0, shift)
              b1 = i32x4.shl(b1, shift)
              b2 = i32x4.shl(b2, shift)
              b3 = i32x4.shl(b3, shift)
            }
            let start = upper
            for (let line: usize = 0; line < lines; line++) {
              let a = start
              let b = alone ? a : a + inputStepX
              const end = a + runBytes
              do {
                const p = i16x8.extend_low_i8x16_u(v128.load32_splat(a))
                const q = i16x8.extend_low_i8x16_u(v128.load32_splat(b))
                const w0 = v128.load_ext<i8>(w)
                const w1 = v128.load_ext<i8>(w, 8)
                a0 = i32x4.add(a0, i32x4.dot_i16x8_s(p, w0))
                b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, w0))
                a1 = i32x4.add(a1, i32x4.dot_i16x8_s(p, w1))
                b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, w1))
                const w2 = v128.load_ext<i8>(w, 16)
                const w3 = v128.load_ext<i8>(w, 24)
                a2 = i32x4.add(a2, i32x4.dot_i16x8_s(p, w2))
                b2 = i32x4.add(b2, i32x4.dot_i16x8_s(q, w2))
                a3 = i32x4.add(a3, i32x4.dot_i16x8_s(p, w3))
                b3 = i32x4.add(b3, i32x4.dot_i16x8_s(q, w3))
                w += groupBytes
                a += 4
                b += 4
              } while (a < end)
              start += inputLine
            }
          }
          a0 = fold(a0, a1)
          a2 = fold(a2, a3)
          b0 = fold(b0, b1)
          b2 = fold(b2, b3)
          if (floats) {
            storeSums(step, to, at, a0)
            storeSums(step, to, at + 16, a2)
            if (!alone) {
              storeSums(step, to + outputPixel, at, b0)
              storeSums(step, to + outputPixel, at + 16, b2)
            }
          } else {
            bitsA |= fires(limits, a0, a2)
            bitsB |= fires(limits, b0, b2)
          }
          upper += inputStepY
        }
        if (pooled) {
          store<u8>(to + (channel >> 3), <u8>(bitsA | bitsB))
          to += outputPixel
          continue
        }
        if (!floats) {
          store<u8>(to + (channel >> 3), <u8>bitsA)
          if (!alone) store<u8>(to + outputPixel + (channel >> 3), <u8>bitsB)
        }
        to += 2 * outputPixel
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function fires(limits: usize, low: v128, high: v128): u32 {
  return (
    i32x4.bitmask(i32x4.ge_s(low, v128.load(limits))) | (i32x4.bitmask(i32x4.ge_s(high, v128.load(limits, 16))) << 4)
  )
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
