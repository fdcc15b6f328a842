// Distances in vectors of two channels.
//
//   window    [a a]                     a word, broadcast
//   weights   [s0 s1][s2 s3]…[m0 m1]…   a word of each channel of a block, behind them as many of masks where masked
//
// Weights lie end to end, so the lines of a window are read as one stream of words.
//
// The tile is 1 window × 4 channels: two vectors. Counting the bits of a vector takes eight operations, so full adders
// (five each) first bring four words together: a bit of `ones` counts once, of `twos` twice, and only what is carried
// out of the twos is counted, four times over, in bytes:
//
//   x0 ┐                       x2 ┐
//   x1 ┼ adder → t ┐           x3 ┼ adder → s ┐
//   ones           └───────────ones────────────┼ adder → popcount
//                                         twos ┘
//
// For 512 products 4 exclusive ors, 15 operations in adders, 8 to count: 27 (31 where masked), so with four vector
// units at most 76 products a cycle (66).

/** Each adds 8 to a byte's count at most, what is left of a group at the end, too. */
const MOST_GROUPS: usize = 31

/** The distances of a window to the weights of four channels. */
// @ts-ignore: decorator
@inline
export function simdDistances(
  window: usize, weights: usize, lines: usize, run: usize, inputLine: usize, masked: bool, lanes: usize,
): v128 {
  const word: usize = masked ? lanes * 16 : lanes * 8
  const zero = i32x4.splat(0)
  const words = lines * run
  const skip = inputLine - run * 8
  let sums = zero
  let ones0 = zero, twos0 = zero, fours0 = zero
  let ones1 = zero, twos1 = zero, fours1 = zero
  let a = window
  let end = a + run * 8
  let w = weights
  let groups = words >> 2
  while (true) {
    let chunk = min(groups, MOST_GROUPS - 1)
    groups -= chunk
    for (; chunk != 0; chunk--) {
      let p0: v128, p1: v128, p2: v128, p3: v128
      if (a == end) {
        a += skip
        end += inputLine
      }
      if (a + 32 <= end) {
        p0 = v128.load64_splat(a)
        p1 = v128.load64_splat(a, 8)
        p2 = v128.load64_splat(a, 16)
        p3 = v128.load64_splat(a, 24)
        a += 32
      } else {
        p0 = v128.load64_splat(a)
        a += 8
        if (a == end) {
          a += skip
          end += inputLine
        }
        p1 = v128.load64_splat(a)
        a += 8
        if (a == end) {
          a += skip
          end += inputLine
        }
        p2 = v128.load64_splat(a)
        a += 8
        if (a == end) {
          a += skip
          end += inputLine
        }
        p3 = v128.load64_splat(a)
        a += 8
      }
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
        fours0 = i8x16.add(fours0, i8x16.popcnt(v128.bitselect(twos0, t, h)))
        twos0 = v128.xor(twos0, h)
      }
      // Never true, but V8 does not know: it would load the weights of both vectors first, and has not the registers.
      if (chunk == 0) break
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
        fours1 = i8x16.add(fours1, i8x16.popcnt(v128.bitselect(twos1, t, h)))
        twos1 = v128.xor(twos1, h)
      }
      w += 4 * word
    }
    if (groups == 0) break
    sums = i32x4.add(sums, across(i16x8.extadd_pairwise_i8x16_u(fours0), i16x8.extadd_pairwise_i8x16_u(fours1)))
    fours0 = fours1 = zero
  }
  // Up to three words are left; what a whole group would have more counts as products of 0.
  let left = words & 3
  if (left != 0) {
    let x0 = zero, y0 = zero, x1 = zero, y1 = zero, x2 = zero, y2 = zero
    while (true) {
      if (a == end) {
        a += skip
        end += inputLine
      }
      const p = v128.load64_splat(a)
      x0 = product(p, w, masked, lanes)
      y0 = product(p, w + 16, masked, lanes)
      if (--left == 0) break
      x2 = x1
      y2 = y1
      x1 = x0
      y1 = y0
      a += 8
      w += word
    }
    {
      const u = v128.xor(x0, x1)
      const t = v128.bitselect(ones0, x0, u)
      ones0 = v128.xor(ones0, u)
      const s = v128.and(ones0, x2)
      ones0 = v128.xor(ones0, x2)
      const h = v128.xor(t, s)
      fours0 = i8x16.add(fours0, i8x16.popcnt(v128.bitselect(twos0, t, h)))
      twos0 = v128.xor(twos0, h)
    }
    {
      const u = v128.xor(y0, y1)
      const t = v128.bitselect(ones1, y0, u)
      ones1 = v128.xor(ones1, u)
      const s = v128.and(ones1, y2)
      ones1 = v128.xor(ones1, y2)
      const h = v128.xor(t, s)
      fours1 = i8x16.add(fours1, i8x16.popcnt(v128.bitselect(twos1, t, h)))
      twos1 = v128.xor(twos1, h)
    }
  }
  return i32x4.add(i32x4.shl(sums, 2), across(weigh(ones0, twos0, fours0), weigh(ones1, twos1, fours1)))
}

/** Of a word and two channels, 1 where it is −1. */
// @ts-ignore: decorator
@inline
export function product(a: v128, w: usize, masked: bool, lanes: usize): v128 {
  const x = v128.xor(a, v128.load(w))
  return masked ? v128.and(x, v128.load(w + lanes * 8)) : x
}

/** The counts of two channels, each as four int16. */
// @ts-ignore: decorator
@inline
function weigh(ones: v128, twos: v128, fours: v128): v128 {
  const pairs = i8x16.popcnt(twos)
  const rest = i8x16.add(i8x16.popcnt(ones), i8x16.add(pairs, pairs))
  return i16x8.add(i16x8.extadd_pairwise_i8x16_u(rest), i16x8.shl(i16x8.extadd_pairwise_i8x16_u(fours), 2))
}

/** Four sums of four int16 each. */
// @ts-ignore: decorator
@inline
function across(a: v128, b: v128): v128 {
  const x = i32x4.extadd_pairwise_i16x8_s(a)
  const y = i32x4.extadd_pairwise_i16x8_s(b)
  return i32x4.add(v128.shuffle<i32>(x, y, 0, 2, 4, 6), v128.shuffle<i32>(x, y, 1, 3, 5, 7))
}
