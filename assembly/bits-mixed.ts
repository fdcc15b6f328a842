// Distances from full adders in vectors of two channels, whose results are counted in 64-bit registers.
//
//   window    [a a]                     a word, broadcast
//   weights   [s0 s1][s2 s3]…[m0 m1]…   a word of each channel of a block, behind them as many of masks where masked
//
// The tile is 1 window × 4 channels: two vectors. Full adders, of five operations each, bring four words of a line to
// one: a bit of `ones` counts once, of `twos` twice, and only what is carried out of the twos is counted, four times
// over.
//
//   x0 ┐                       x2 ┐
//   x1 ┼ adder → t ┐           x3 ┼ adder → s ┐
//   ones           └───────────ones────────────┼ adder → popcount, lane by lane
//                                         twos ┘
//
// For 512 products 4 exclusive ors, 15 operations in adders, 4 to move two lanes, 2 to count and 2 to add: 27, and 31
// where masked, of which integer units do four. In 64-bit registers alone, bits-scalar.ts, they are 24, and 32, but
// with 8 loads, or 16, where these need 4, or 8.
//
// Words that are left over at the end of a line are counted one by one: all words, where a line has fewer than four.

import { fourSums } from './bits-scalar'
import { product } from './bits-simd'

/** The distances of a window to the weights of four channels. */
// @ts-ignore: decorator
@inline
export function mixedDistances(
  window: usize, weights: usize, lines: usize, run: usize, inputLine: usize, masked: bool, lanes: usize,
): v128 {
  const word: usize = masked ? lanes * 16 : lanes * 8
  const last = weights + lines * run * word
  const skip = inputLine - run * 8
  let ones0 = i32x4.splat(0), twos0 = ones0, ones1 = ones0, twos1 = ones0
  let d0: i64 = 0, d1: i64 = 0, d2: i64 = 0, d3: i64 = 0
  let a = window
  let end = a + run * 8
  let w = weights
  while (true) {
    if (a + 32 <= end) {
      const p0 = v128.load64_splat(a)
      const p1 = v128.load64_splat(a, 8)
      const p2 = v128.load64_splat(a, 16)
      const p3 = v128.load64_splat(a, 24)
      // Twice the same, since functions for its parts make it slower: V8 orders the operations differently.
      {
        const x0 = product(p0, w, masked, lanes)
        const x1 = product(p1, w + word, masked, lanes)
        const u = v128.xor(x0, x1)
        const t = v128.bitselect(ones0, x0, u)
        ones0 = v128.xor(ones0, u)
        const x2 = product(p2, w + 2 * word, masked, lanes)
        const x3 = product(p3, w + 3 * word, masked, lanes)
        const v = v128.xor(x2, x3)
        const s = v128.bitselect(ones0, x2, v)
        ones0 = v128.xor(ones0, v)
        const h = v128.xor(t, s)
        const fours = v128.bitselect(twos0, t, h)
        twos0 = v128.xor(twos0, h)
        d0 += popcnt(i64x2.extract_lane(fours, 0)) << 2
        d1 += popcnt(i64x2.extract_lane(fours, 1)) << 2
      }
      {
        const x0 = product(p0, w + 16, masked, lanes)
        const x1 = product(p1, w + word + 16, masked, lanes)
        const u = v128.xor(x0, x1)
        const t = v128.bitselect(ones1, x0, u)
        ones1 = v128.xor(ones1, u)
        const x2 = product(p2, w + 2 * word + 16, masked, lanes)
        const x3 = product(p3, w + 3 * word + 16, masked, lanes)
        const v = v128.xor(x2, x3)
        const s = v128.bitselect(ones1, x2, v)
        ones1 = v128.xor(ones1, v)
        const h = v128.xor(t, s)
        const fours = v128.bitselect(twos1, t, h)
        twos1 = v128.xor(twos1, h)
        d2 += popcnt(i64x2.extract_lane(fours, 0)) << 2
        d3 += popcnt(i64x2.extract_lane(fours, 1)) << 2
      }
      a += 32
      w += 4 * word
    } else {
      const x = load<i64>(a)
      d0 += popcnt((load<i64>(w) ^ x) & (masked ? load<i64>(w + lanes * 8) : -1))
      d1 += popcnt((load<i64>(w, 8) ^ x) & (masked ? load<i64>(w + lanes * 8, 8) : -1))
      d2 += popcnt((load<i64>(w, 16) ^ x) & (masked ? load<i64>(w + lanes * 8, 16) : -1))
      d3 += popcnt((load<i64>(w, 24) ^ x) & (masked ? load<i64>(w + lanes * 8, 24) : -1))
      a += 8
      w += word
    }
    if (a == end) {
      if (w == last) break
      a += skip
      end += inputLine
    }
  }
  // Shorter lines leave nothing in the adders.
  if (run >= 4) {
    d0 += weigh(i64x2.extract_lane(ones0, 0), i64x2.extract_lane(twos0, 0))
    d1 += weigh(i64x2.extract_lane(ones0, 1), i64x2.extract_lane(twos0, 1))
    d2 += weigh(i64x2.extract_lane(ones1, 0), i64x2.extract_lane(twos1, 0))
    d3 += weigh(i64x2.extract_lane(ones1, 1), i64x2.extract_lane(twos1, 1))
  }
  return fourSums(d0, d1, d2, d3)
}

// @ts-ignore: decorator
@inline
function weigh(ones: i64, twos: i64): i64 {
  return popcnt(ones) + (popcnt(twos) << 1)
}
