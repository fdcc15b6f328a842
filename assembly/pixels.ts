import { storeFloats } from './output'
import * as Step from './step'

// Sums of pixels: unsigned bytes by int8 weights, both as int16. A group of four taps is two pairs, and a vector of
// weights, as it lies, the groups of four channels:
//
//   pixels    [p0 p1 p2 p3 | p0 p1 p2 p3 | …]   a group, broadcast     even  p0 p2 | p0 p2 | p0 p2 | p0 p2
//   weights   [c0 c0 c0 c0 | c1 c1 c1 c1 | …]   and four channels      odd   p1 p3 | p1 p3 | p1 p3 | p1 p3
//   i32x4.dot_i16x8_s                           of the even or the odd taps: one sum a channel
//
// The tile is 4 windows × 8 channels, so eight sums, beside which the registers hold two vectors of weights at a time:
// first the even taps of all windows, then the odd ones. For 128 products 16 dot products and 16 additions, 6
// operations that widen weights and 8 that widen pixels: 46. Where a line's last group has even taps alone, as that of
// 5 or 9 bytes, the odd half is left out.
//
// Windows that are left over, and the one of `linear`, go alone. Their weights are used but once, so that it counts
// what widening costs: loads do it in one operation, for two sums a channel, which are added when the window is done.
//
//   pixels    [p0 p1 p2 p3 | p0 p1 p2 p3]
//   weights   [c0 c0 c0 c0 | c1 c1 c1 c1]
//
// The tile is 8 channels: for 32 products 4 dot products, 4 additions, 4 loads that widen weights and an operation that
// widens pixels: 13.
//
// A function has one result, and no arrays that V8 would keep in registers: so each sum is a variable, and what is done
// to the sums is written once for each.

export function pixels(step: usize, slot: usize, rows: usize): void {
  const channels = Step.channels(step)
  // Bits of channels beyond the last are written, too: their limits are never reached.
  for (let channel: usize = 0; channel < ((channels + 15) & ~15); channel += 8) eightChannels(step, slot, rows, channel)
}

function eightChannels(step: usize, slot: usize, rows: usize, channel: usize): void {
  const height = Step.height(step)
  const width = Step.width(step)
  const floats = Step.floats(step)
  const inputStepX = Step.inputStepX(step)
  const inputStepY = Step.inputStepY(step)
  const outputPixel = Step.outputPixel(step)
  const pooled = Step.pool(step) == 2
  const block = channel & ~31
  const weights =
    Step.weights(step) + block * Step.planes(step) * Step.lines(step) * Step.run(step) * 4 + (channel - block) * 4
  const groupBytes = Step.blockLanes(step, block) * 4
  const halves = lastHalves(step, weights, groupBytes)
  for (let row: usize = 0; row < rows; row++) {
    for (let y: usize = 0; y < height; y++) {
      let from = Step.window(step, slot, row, pooled ? 2 * y : y)
      let to = Step.pixel(step, slot, row, y)
      if (pooled) {
        for (let x: usize = 0; x < width; x++) {
          let bits = fourWindows(step, weights, groupBytes, halves, channel, from, inputStepX, inputStepY, to)
          bits |= bits >> 16
          store<u8>(to + (channel >> 3), <u8>(bits | (bits >> 8)))
          from += 2 * inputStepX
          to += outputPixel
        }
        continue
      }
      let x: usize = 0
      for (; x + 4 <= width; x += 4) {
        const bits = fourWindows(step, weights, groupBytes, halves, channel, from, inputStepX, 2 * inputStepX, to)
        if (!floats) {
          store<u8>(to + (channel >> 3), <u8>bits)
          store<u8>(to + outputPixel + (channel >> 3), <u8>(bits >> 8))
          store<u8>(to + 2 * outputPixel + (channel >> 3), <u8>(bits >> 16))
          store<u8>(to + 3 * outputPixel + (channel >> 3), <u8>(bits >> 24))
        }
        from += 4 * inputStepX
        to += 4 * outputPixel
      }
      for (; x < width; x++) {
        const bits = oneWindow(step, weights, groupBytes, channel, from, to)
        if (!floats) store<u8>(to + (channel >> 3), <u8>bits)
        from += inputStepX
        to += outputPixel
      }
    }
  }
}

/** 1 where the last group of no line has odd taps, else 2. */
function lastHalves(step: usize, weights: usize, groupBytes: usize): usize {
  const lineBytes = Step.run(step) * groupBytes
  let taps = i32x4.splat(0)
  let last = weights + lineBytes - groupBytes
  for (let left = Step.planes(step) * Step.lines(step); left != 0; left--) {
    taps = v128.or(taps, v128.or(v128.load(last), v128.load(last, 16)))
    last += lineBytes
  }
  return v128.any_true(i16x8.shr_u(taps, 8)) ? 2 : 1
}

/**
 * Windows at `window`, one `right`, one `below` and one both. Of bits, those of a window in a byte; floats are stored,
 * of which the windows lie side by side.
 */
function fourWindows(
  step: usize, weights: usize, groupBytes: usize, halves: usize, channel: usize,
  window: usize, right: usize, below: usize, to: usize,
): u32 {
  const lines = Step.lines(step)
  const inputLine = Step.inputLine(step)
  const runBytes = Step.run(step) * 4
  let w = weights
  let a0 = i32x4.splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0
  let shifts = Step.shifts(step)
  for (let planes = Step.planes(step); ; ) {
    let line = window
    for (let left = lines; left != 0; left--) {
      let a = line
      const end = a + runBytes
      const half = halves == 1 ? end - 4 : 0
      while (true) {
        const b = a + right
        const c = a + below
        const d = b + below
        {
          const w0 = i16x8.shr_s(i16x8.shl(v128.load(w), 8), 8)
          const w1 = i16x8.shr_s(i16x8.shl(v128.load(w, 16), 8), 8)
          const p = even(a)
          a0 = addProducts(a0, p, w0)
          a1 = addProducts(a1, p, w1)
          const q = even(b)
          b0 = addProducts(b0, q, w0)
          b1 = addProducts(b1, q, w1)
          const r = even(c)
          c0 = addProducts(c0, r, w0)
          c1 = addProducts(c1, r, w1)
          const s = even(d)
          d0 = addProducts(d0, s, w0)
          d1 = addProducts(d1, s, w1)
        }
        if (a == half) break
        {
          const w0 = i16x8.shr_s(v128.load(w), 8)
          const w1 = i16x8.shr_s(v128.load(w, 16), 8)
          const p = odd(a)
          a0 = addProducts(a0, p, w0)
          a1 = addProducts(a1, p, w1)
          const q = odd(b)
          b0 = addProducts(b0, q, w0)
          b1 = addProducts(b1, q, w1)
          const r = odd(c)
          c0 = addProducts(c0, r, w0)
          c1 = addProducts(c1, r, w1)
          const s = odd(d)
          d0 = addProducts(d0, s, w0)
          d1 = addProducts(d1, s, w1)
        }
        a += 4
        if (a == end) break
        w += groupBytes
      }
      w += groupBytes
      line += inputLine
    }
    if (--planes == 0) break
    shifts >>= 4
    const shift = shifts & 15
    a0 = i32x4.shl(a0, shift)
    a1 = i32x4.shl(a1, shift)
    b0 = i32x4.shl(b0, shift)
    b1 = i32x4.shl(b1, shift)
    c0 = i32x4.shl(c0, shift)
    c1 = i32x4.shl(c1, shift)
    d0 = i32x4.shl(d0, shift)
    d1 = i32x4.shl(d1, shift)
  }
  const at = channel * 4
  if (Step.floats(step)) {
    const outputPixel = Step.outputPixel(step)
    storeSums(step, to, at, a0, a1)
    storeSums(step, to + outputPixel, at, b0, b1)
    storeSums(step, to + 2 * outputPixel, at, c0, c1)
    storeSums(step, to + 3 * outputPixel, at, d0, d1)
    return 0
  }
  const low = v128.load(Step.limits(step) + at)
  const high = v128.load(Step.limits(step) + at, 16)
  return fires(a0, a1, low, high) | (fires(b0, b1, low, high) << 8) | (fires(c0, c1, low, high) << 16) |
    (fires(d0, d1, low, high) << 24)
}

/** As `fourWindows`. */
function oneWindow(step: usize, weights: usize, groupBytes: usize, channel: usize, window: usize, to: usize): u32 {
  const lines = Step.lines(step)
  const inputLine = Step.inputLine(step)
  const runBytes = Step.run(step) * 4
  let w = weights
  let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0
  let shifts = Step.shifts(step)
  for (let planes = Step.planes(step); ; ) {
    let line = window
    for (let left = lines; left != 0; left--) {
      const end = line + runBytes
      for (let a = line; a != end; a += 4) {
        const p = i16x8.extend_low_i8x16_u(v128.load32_splat(a))
        a0 = addProducts(a0, p, v128.load_ext<i8>(w))
        a1 = addProducts(a1, p, v128.load_ext<i8>(w, 8))
        a2 = addProducts(a2, p, v128.load_ext<i8>(w, 16))
        a3 = addProducts(a3, p, v128.load_ext<i8>(w, 24))
        w += groupBytes
      }
      line += inputLine
    }
    if (--planes == 0) break
    shifts >>= 4
    const shift = shifts & 15
    a0 = i32x4.shl(a0, shift)
    a1 = i32x4.shl(a1, shift)
    a2 = i32x4.shl(a2, shift)
    a3 = i32x4.shl(a3, shift)
  }
  const low = fold(a0, a1)
  const high = fold(a2, a3)
  const at = channel * 4
  if (Step.floats(step)) {
    storeSums(step, to, at, low, high)
    return 0
  }
  const limits = Step.limits(step) + at
  return fires(low, high, v128.load(limits), v128.load(limits, 16))
}

// @ts-ignore: decorator
@inline
function even(group: usize): v128 {
  return v128.and(v128.load32_splat(group), i16x8.splat(255))
}

// @ts-ignore: decorator
@inline
function odd(group: usize): v128 {
  return i16x8.shr_u(v128.load32_splat(group), 8)
}

// @ts-ignore: decorator
@inline
function addProducts(sums: v128, pixels: v128, weights: v128): v128 {
  return i32x4.add(sums, i32x4.dot_i16x8_s(pixels, weights))
}

// @ts-ignore: decorator
@inline
function fires(a0: v128, a1: v128, low: v128, high: v128): u32 {
  return i32x4.bitmask(i32x4.ge_s(a0, low)) | (i32x4.bitmask(i32x4.ge_s(a1, high)) << 4)
}

// @ts-ignore: decorator
@inline
function storeSums(step: usize, pixel: usize, at: usize, a0: v128, a1: v128): void {
  const totals = Step.totals(step) + at
  storeFloats(step, pixel, at, f32x4.convert_i32x4_s(i32x4.sub(a0, v128.load(totals))))
  storeFloats(step, pixel, at + 16, f32x4.convert_i32x4_s(i32x4.sub(a1, v128.load(totals, 16))))
}

/** Two sums of each of two channels and two more, to one of each. */
// @ts-ignore: decorator
@inline
function fold(low: v128, high: v128): v128 {
  return i32x4.add(v128.shuffle<i32>(low, high, 0, 2, 4, 6), v128.shuffle<i32>(low, high, 1, 3, 5, 7))
}
