// Distances in 64-bit registers: for 64 products a load, an exclusive or, a popcount and an addition, of which three
// need one of a core's four or so integer units; so at most 85 products a cycle where there are four.
//
//   window    [a][a][a]…              a word, loaded once for four channels
//   weights   [s0 s1 s2 s3 …]         a word of each channel of the block, behind it as many of masks where masked
//
// The tile is 1 window × 4 channels: four sums, and all loads are at constant offsets from two cursors. More sums
// would not fit the registers that V8 leaves.

/** @param lanes channels of a block */
// @ts-ignore: decorator
@inline
export function scalarDistances(
  window: usize, weights: usize, lines: usize, runBytes: usize, inputLine: usize, masked: bool, lanes: usize,
): v128 {
  const mask = lanes * 8
  const word: usize = masked ? 2 * mask : mask
  let d0: i64 = 0, d1: i64 = 0, d2: i64 = 0, d3: i64 = 0
  let w = weights
  for (let line: usize = 0; line < lines; line++) {
    let a = window + line * inputLine
    const end = a + runBytes
    const pairs = a + (runBytes & ~8)
    for (; a < pairs; a += 16) {
      const x = load<i64>(a)
      const y = load<i64>(a, 8)
      if (masked) {
        d0 += popcnt((x ^ load<i64>(w)) & load<i64>(w + mask))
        d1 += popcnt((x ^ load<i64>(w, 8)) & load<i64>(w + mask, 8))
        d2 += popcnt((x ^ load<i64>(w, 16)) & load<i64>(w + mask, 16))
        d3 += popcnt((x ^ load<i64>(w, 24)) & load<i64>(w + mask, 24))
        d0 += popcnt((y ^ load<i64>(w + word)) & load<i64>(w + word + mask))
        d1 += popcnt((y ^ load<i64>(w + word, 8)) & load<i64>(w + word + mask, 8))
        d2 += popcnt((y ^ load<i64>(w + word, 16)) & load<i64>(w + word + mask, 16))
        d3 += popcnt((y ^ load<i64>(w + word, 24)) & load<i64>(w + word + mask, 24))
      } else {
        d0 += popcnt(x ^ load<i64>(w))
        d1 += popcnt(x ^ load<i64>(w, 8))
        d2 += popcnt(x ^ load<i64>(w, 16))
        d3 += popcnt(x ^ load<i64>(w, 24))
        d0 += popcnt(y ^ load<i64>(w + word))
        d1 += popcnt(y ^ load<i64>(w + word, 8))
        d2 += popcnt(y ^ load<i64>(w + word, 16))
        d3 += popcnt(y ^ load<i64>(w + word, 24))
      }
      w += 2 * word
    }
    if (a < end) {
      const x = load<i64>(a)
      if (masked) {
        d0 += popcnt((x ^ load<i64>(w)) & load<i64>(w + mask))
        d1 += popcnt((x ^ load<i64>(w, 8)) & load<i64>(w + mask, 8))
        d2 += popcnt((x ^ load<i64>(w, 16)) & load<i64>(w + mask, 16))
        d3 += popcnt((x ^ load<i64>(w, 24)) & load<i64>(w + mask, 24))
      } else {
        d0 += popcnt(x ^ load<i64>(w))
        d1 += popcnt(x ^ load<i64>(w, 8))
        d2 += popcnt(x ^ load<i64>(w, 16))
        d3 += popcnt(x ^ load<i64>(w, 24))
      }
      w += word
    }
  }
  const distances = i32x4.splat(<i32>d0)
  return i32x4.replace_lane(
    i32x4.replace_lane(i32x4.replace_lane(distances, 1, <i32>d1), 2, <i32>d2), 3, <i32>d3,
  )
}
