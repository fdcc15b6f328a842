// Distances in 64-bit registers, for weights without masks.
//
//   window    [a][a][a]…             a word, loaded once for four channels
//   weights   [s0 s1 s2 s3 …][s0 …   a word of each channel of a block, then the next words of the window
//
// The tile is 1 window × 4 channels. 64 products take a load, an exclusive or, a popcount and an addition, the last
// three of which share a core's integer units: with four of them at most 85 products a cycle. A tile of more channels
// would not fit the registers that V8 leaves, and one of fewer loads the window's words as often as the weights'.

/** The distances of a window to the weights of four channels. */
// @ts-ignore: decorator
@inline
export function scalarDistances(
  window: usize, weights: usize, lines: usize, run: usize, inputLine: usize, lanes: usize,
): v128 {
  const word = lanes * 8
  let d0: i64 = 0, d1: i64 = 0, d2: i64 = 0, d3: i64 = 0
  for (let line: usize = 0; line < lines; line++) {
    let a = window
    let w = weights
    let left = run
    // A way out after each word keeps V8 from loading the words of all four before it counts the first one's bits,
    // for which it has not the registers.
    while (true) {
      let x = load<i64>(a)
      d0 += popcnt(load<i64>(w) ^ x)
      d1 += popcnt(load<i64>(w, 8) ^ x)
      d2 += popcnt(load<i64>(w, 16) ^ x)
      d3 += popcnt(load<i64>(w, 24) ^ x)
      if (left == 1) break
      x = load<i64>(a, 8)
      d0 += popcnt(load<i64>(w + word) ^ x)
      d1 += popcnt(load<i64>(w + word, 8) ^ x)
      d2 += popcnt(load<i64>(w + word, 16) ^ x)
      d3 += popcnt(load<i64>(w + word, 24) ^ x)
      if (left == 2) break
      x = load<i64>(a, 16)
      d0 += popcnt(load<i64>(w + 2 * word) ^ x)
      d1 += popcnt(load<i64>(w + 2 * word, 8) ^ x)
      d2 += popcnt(load<i64>(w + 2 * word, 16) ^ x)
      d3 += popcnt(load<i64>(w + 2 * word, 24) ^ x)
      if (left == 3) break
      x = load<i64>(a, 24)
      d0 += popcnt(load<i64>(w + 3 * word) ^ x)
      d1 += popcnt(load<i64>(w + 3 * word, 8) ^ x)
      d2 += popcnt(load<i64>(w + 3 * word, 16) ^ x)
      d3 += popcnt(load<i64>(w + 3 * word, 24) ^ x)
      if (left == 4) break
      a += 32
      w += 4 * word
      left -= 4
    }
    window += inputLine
    weights += run * word
  }
  const distances = i32x4.splat(<i32>d0)
  return i32x4.replace_lane(
    i32x4.replace_lane(i32x4.replace_lane(distances, 1, <i32>d1), 2, <i32>d2), 3, <i32>d3,
  )
}
