// Distances in 64-bit registers, for weights without masks, or with masks that the 16 channels at hand share.
//
//   window    [a][a][a]…                a word, loaded once for four channels, and masked once
//   weights   [s0 s1 s2 s3 …][m m m …]  a word of each channel of a block, behind them as many equal masks where shared
//
// A sign is 0 where its mask is, so that to mask the word masks all products.
//
// Weights lie end to end, so the lines of a window are read as one stream of words: in a loop within a loop V8 would
// keep the distances in memory from line to line.
//
// The tile is 1 window × 4 channels. 64 products take a load, an exclusive or, a popcount and an addition, the last
// three of which share a core's integer units: with four of them at most 85 products a cycle. A tile of more channels
// would not fit the registers that V8 leaves, and one of fewer loads the window's words as often as the weights'.

/**
 * The distances of a window to the weights of four channels.
 *
 * @param shared whether there are masks, those of a word the same in all channels
 */
// @ts-ignore: decorator
@inline
export function scalarDistances(
  window: usize, weights: usize, lines: usize, run: usize, inputLine: usize, shared: bool, lanes: usize,
): v128 {
  const word: usize = shared ? lanes * 16 : lanes * 8
  const last = weights + lines * run * word
  const skip = inputLine - run * 8
  let d0: i64 = 0, d1: i64 = 0, d2: i64 = 0, d3: i64 = 0
  let a = window
  let end = a + run * 8
  let w = weights
  while (true) {
    let x = load<i64>(a)
    if (shared) x &= load<i64>(w + lanes * 8)
    d0 += popcnt(load<i64>(w) ^ x)
    d1 += popcnt(load<i64>(w, 8) ^ x)
    // Never true, but V8 does not know: it would load the words of all four first, and has not the registers.
    if (a == 0) break
    d2 += popcnt(load<i64>(w, 16) ^ x)
    d3 += popcnt(load<i64>(w, 24) ^ x)
    a += 8
    w += word
    if (a == end) {
      if (w == last) break
      a += skip
      end += inputLine
    }
  }
  return fourSums(d0, d1, d2, d3)
}

// @ts-ignore: decorator
@inline
export function fourSums(a: i64, b: i64, c: i64, d: i64): v128 {
  const sums = i32x4.splat(<i32>a)
  return i32x4.replace_lane(i32x4.replace_lane(i32x4.replace_lane(sums, 1, <i32>b), 2, <i32>c), 3, <i32>d)
}
