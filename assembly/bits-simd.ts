/** Bytes of a run whose four-word groups fill a byte's counter: 31 groups add at most 8 each. */
const MOST_GROUPS: usize = 31
const GROUP_BYTES: usize = 32

/** @param lanes channels of a block */
// @ts-ignore: decorator
@inline
export function simdDistances(
  window: usize, weights: usize, lines: usize, runBytes: usize, inputLine: usize, masked: bool, lanes: usize,
): v128 {
  const word: usize = masked ? lanes * 16 : lanes * 8
  let w = weights
  const zero = i32x4.splat(0)
  let onesA = zero, onesB = zero, twosA = zero, twosB = zero, countA = zero, countB = zero, sums = zero
  let groups: usize = 0
  for (let line: usize = 0; line < lines; line++) {
    let a = window + line * inputLine
    const end = a + runBytes
    while (true) {
      if (groups + 1 >= MOST_GROUPS) {
        sums = i32x4.add(sums, i32x4.shl(across(i16x8.extadd_pairwise_i8x16_u(countA), i16x8.extadd_pairwise_i8x16_u(countB)), 2))
        countA = zero
        countB = zero
        groups = 0
      }
      const room = (MOST_GROUPS - 1 - groups) * GROUP_BYTES
      const left = (end - a) & ~(GROUP_BYTES - 1)
      const chunk = min(room, left)
      groups += chunk / GROUP_BYTES
      const stop = a + chunk
      for (; a < stop; a += GROUP_BYTES) {
        const p0 = v128.load64_splat(a), p1 = v128.load64_splat(a, 8)
        const p2 = v128.load64_splat(a, 16), p3 = v128.load64_splat(a, 24)
        {
          const x0 = product(p0, w, masked, lanes), x1 = product(p1, w + word, masked, lanes)
          const u = v128.xor(x0, x1)
          const t = v128.bitselect(onesA, x0, u)
          onesA = v128.xor(onesA, u)
          const x2 = product(p2, w + 2 * word, masked, lanes), x3 = product(p3, w + 3 * word, masked, lanes)
          const v = v128.xor(x2, x3)
          const s = v128.bitselect(onesA, x2, v)
          onesA = v128.xor(onesA, v)
          const h = v128.xor(t, s)
          countA = i8x16.add(countA, i8x16.popcnt(v128.bitselect(twosA, t, h)))
          twosA = v128.xor(twosA, h)
        }
        {
          const x0 = product(p0, w + 16, masked, lanes), x1 = product(p1, w + word + 16, masked, lanes)
          const u = v128.xor(x0, x1)
          const t = v128.bitselect(onesB, x0, u)
          onesB = v128.xor(onesB, u)
          const x2 = product(p2, w + 2 * word + 16, masked, lanes), x3 = product(p3, w + 3 * word + 16, masked, lanes)
          const v = v128.xor(x2, x3)
          const s = v128.bitselect(onesB, x2, v)
          onesB = v128.xor(onesB, v)
          const h = v128.xor(t, s)
          countB = i8x16.add(countB, i8x16.popcnt(v128.bitselect(twosB, t, h)))
          twosB = v128.xor(twosB, h)
        }
        w += 4 * word
      }
      if (a + GROUP_BYTES > end) break
    }
    if (a < end) {
      groups++
      let p0 = v128.load64_splat(a)
      let x0 = product(p0, w, masked, lanes), y0 = product(p0, w + 16, masked, lanes)
      w += word
      a += 8
      let tA: v128, tB: v128
      if (a < end) {
        p0 = v128.load64_splat(a)
        const x1 = product(p0, w, masked, lanes), y1 = product(p0, w + 16, masked, lanes)
        w += word
        a += 8
        const u = v128.xor(x0, x1), v = v128.xor(y0, y1)
        tA = v128.bitselect(onesA, x0, u)
        tB = v128.bitselect(onesB, y0, v)
        onesA = v128.xor(onesA, u)
        onesB = v128.xor(onesB, v)
        if (a < end) {
          p0 = v128.load64_splat(a)
          x0 = product(p0, w, masked, lanes), y0 = product(p0, w + 16, masked, lanes)
          w += word
          const sA = v128.and(onesA, x0), sB = v128.and(onesB, y0)
          onesA = v128.xor(onesA, x0)
          onesB = v128.xor(onesB, y0)
          const hA = v128.xor(tA, sA), hB = v128.xor(tB, sB)
          countA = i8x16.add(countA, i8x16.popcnt(v128.bitselect(twosA, tA, hA)))
          countB = i8x16.add(countB, i8x16.popcnt(v128.bitselect(twosB, tB, hB)))
          twosA = v128.xor(twosA, hA)
          twosB = v128.xor(twosB, hB)
          continue
        }
      } else {
        tA = v128.and(onesA, x0)
        tB = v128.and(onesB, y0)
        onesA = v128.xor(onesA, x0)
        onesB = v128.xor(onesB, y0)
      }
      countA = i8x16.add(countA, i8x16.popcnt(v128.and(twosA, tA)))
      countB = i8x16.add(countB, i8x16.popcnt(v128.and(twosB, tB)))
      twosA = v128.xor(twosA, tA)
      twosB = v128.xor(twosB, tB)
    }
  }
  return i32x4.add(sums, across(weigh(onesA, twosA, countA), weigh(onesB, twosB, countB)))
}

// @ts-ignore: decorator
@inline
function product(p: v128, w: usize, masked: bool, lanes: usize): v128 {
  const x = v128.xor(p, v128.load(w))
  return masked ? v128.and(x, v128.load(w + lanes * 8)) : x
}

// @ts-ignore: decorator
@inline
function weigh(ones: v128, twos: v128, fours: v128): v128 {
  const pairs = i8x16.popcnt(twos)
  const low = i8x16.add(i8x16.popcnt(ones), i8x16.add(pairs, pairs))
  return i16x8.add(i16x8.extadd_pairwise_i8x16_u(low), i16x8.shl(i16x8.extadd_pairwise_i8x16_u(fours), 2))
}

/** Four sums of four int16 each. */
// @ts-ignore: decorator
@inline
function across(a: v128, b: v128): v128 {
  const x = i32x4.extadd_pairwise_i16x8_s(a)
  const y = i32x4.extadd_pairwise_i16x8_s(b)
  return i32x4.add(v128.shuffle<i32>(x, y, 0, 2, 4, 6), v128.shuffle<i32>(x, y, 1, 3, 5, 7))
}
