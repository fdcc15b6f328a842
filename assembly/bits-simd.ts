// Distances in vectors of two channels.
//
//   window    [a a]                     a word, broadcast
//   weights   [s0 s1][s2 s3]…[m0 m1]…   a word of each channel of a block, behind them as many of masks where masked
//
// Weights lie end to end, so the lines of a window are read as one stream of words.
//
// The tile is 1 window × 4 channels: two vectors. It is for CPUs that count the bits of a vector's bytes in one
// instruction, as 64-bit ARM does: there 512 products take 4 exclusive ors, 4 counts and 4 additions (and 4 operations
// that mask), and adders before the count, as in bits-mixed.ts, would take more than they save. x86 has no such
// instruction in the vectors of wasm; its CPUs are faster with 64-bit registers.

/** Each adds 8 to a byte's count at most. */
const MOST_WORDS: usize = 31

/** The distances of a window to the weights of four channels. */
// @ts-ignore: decorator
@inline
export function simdDistances(
  window: usize, weights: usize, lines: usize, run: usize, inputLine: usize, masked: bool, lanes: usize,
): v128 {
  const word: usize = masked ? lanes * 16 : lanes * 8
  const skip = inputLine - run * 8
  let sums = i32x4.splat(0)
  let a = window
  let end = a + run * 8
  let w = weights
  for (let words = lines * run; words != 0; ) {
    let chunk = min(words, MOST_WORDS)
    words -= chunk
    let bytes0 = i32x4.splat(0), bytes1 = bytes0
    for (; chunk != 0; chunk--) {
      if (a == end) {
        a += skip
        end += inputLine
      }
      const p = v128.load64_splat(a)
      bytes0 = i8x16.add(bytes0, i8x16.popcnt(product(p, w, masked, lanes)))
      bytes1 = i8x16.add(bytes1, i8x16.popcnt(product(p, w + 16, masked, lanes)))
      a += 8
      w += word
    }
    sums = i32x4.add(sums, across(bytes0, bytes1))
  }
  return sums
}

/** Of a word and two channels, 1 where it is −1. */
// @ts-ignore: decorator
@inline
export function product(a: v128, w: usize, masked: bool, lanes: usize): v128 {
  const x = v128.xor(a, v128.load(w))
  return masked ? v128.and(x, v128.load(w + lanes * 8)) : x
}

/** Four sums of eight bytes each. */
// @ts-ignore: decorator
@inline
function across(a: v128, b: v128): v128 {
  const x = i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(a))
  const y = i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(b))
  return i32x4.add(v128.shuffle<i32>(x, y, 0, 2, 4, 6), v128.shuffle<i32>(x, y, 1, 3, 5, 7))
}
