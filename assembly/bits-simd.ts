// @ts-ignore: decorator
@inline
export function simdDistances(
  window: usize, weights: usize, lines: usize, run: usize, inputLine: usize, masked: bool, lanes: usize,
): v128 {
  const word: usize = masked ? lanes * 16 : lanes * 8
  const zero = i32x4.splat(0)
  const overflows = lines * ((run + 3) >> 2) > MOST_GROUPS
  let sums = zero
  let ones0 = zero, twos0 = zero, fours0 = zero
  let ones1 = zero, twos1 = zero, fours1 = zero
  let w = weights
  for (let line: usize = 0; line < lines; line++) {
    if (overflows) {
      sums = i32x4.add(sums, across(i16x8.extadd_pairwise_i8x16_u(fours0), i16x8.extadd_pairwise_i8x16_u(fours1)))
      fours0 = fours1 = zero
    }
    let a = window
    let left = run
    while (left >= 4) {
      const stop: usize = left > 4 * MOST_GROUPS ? left - 4 * (MOST_GROUPS - 1) : 4
      do {
        {
          const x0 = product(v128.load64_splat(a), w, masked, lanes)
          const x1 = product(v128.load64_splat(a, 8), w + word, masked, lanes)
          const u = v128.xor(x0, x1)
          const t = v128.bitselect(ones0, x0, u)
          ones0 = v128.xor(ones0, u)
          const x2 = product(v128.load64_splat(a, 16), w + 2 * word, masked, lanes)
          const x3 = product(v128.load64_splat(a, 24), w + 3 * word, masked, lanes)
          const v = v128.xor(x2, x3)
          const s = v128.bitselect(ones0, x2, v)
          ones0 = v128.xor(ones0, v)
          const h = v128.xor(t, s)
          fours0 = i8x16.add(fours0, i8x16.popcnt(v128.bitselect(twos0, t, h)))
          twos0 = v128.xor(twos0, h)
        }
        if (left == 0) break
        {
          const x0 = product(v128.load64_splat(a), w + 16, masked, lanes)
          const x1 = product(v128.load64_splat(a, 8), w + word + 16, masked, lanes)
          const u = v128.xor(x0, x1)
          const t = v128.bitselect(ones1, x0, u)
          ones1 = v128.xor(ones1, u)
          const x2 = product(v128.load64_splat(a, 16), w + 2 * word + 16, masked, lanes)
          const x3 = product(v128.load64_splat(a, 24), w + 3 * word + 16, masked, lanes)
          const v = v128.xor(x2, x3)
          const s = v128.bitselect(ones1, x2, v)
          ones1 = v128.xor(ones1, v)
          const h = v128.xor(t, s)
          fours1 = i8x16.add(fours1, i8x16.popcnt(v128.bitselect(twos1, t, h)))
          twos1 = v128.xor(twos1, h)
        }
        w += 4 * word
        a += 32
        left -= 4
      } while (left >= stop)
      if (left < 4) break
      sums = i32x4.add(sums, across(i16x8.extadd_pairwise_i8x16_u(fours0), i16x8.extadd_pairwise_i8x16_u(fours1)))
      fours0 = fours1 = zero
    }
    if (left != 0) {
      let p = v128.load64_splat(a)
      let x = product(p, w, masked, lanes), y = product(p, w + 16, masked, lanes)
      let t = v128.and(ones0, x), u = v128.and(ones1, y)
      ones0 = v128.xor(ones0, x)
      ones1 = v128.xor(ones1, y)
      w += word
      if (left != 1) {
        p = v128.load64_splat(a, 8)
        x = product(p, w, masked, lanes)
        y = product(p, w + 16, masked, lanes)
        // Of two carries of one sum at most one is 1.
        t = v128.or(t, v128.and(ones0, x))
        u = v128.or(u, v128.and(ones1, y))
        ones0 = v128.xor(ones0, x)
        ones1 = v128.xor(ones1, y)
        w += word
        if (left != 2) {
          p = v128.load64_splat(a, 16)
          x = product(p, w, masked, lanes)
          y = product(p, w + 16, masked, lanes)
          const s = v128.and(ones0, x), v = v128.and(ones1, y)
          ones0 = v128.xor(ones0, x)
          ones1 = v128.xor(ones1, y)
          w += word
          fours0 = i8x16.add(fours0, i8x16.popcnt(v128.and(twos0, s)))
          fours1 = i8x16.add(fours1, i8x16.popcnt(v128.and(twos1, v)))
          twos0 = v128.xor(twos0, s)
          twos1 = v128.xor(twos1, v)
        }
      }
      fours0 = i8x16.add(fours0, i8x16.popcnt(v128.and(twos0, t)))
      fours1 = i8x16.add(fours1, i8x16.popcnt(v128.and(twos1, u)))
      twos0 = v128.xor(twos0, t)
      twos1 = v128.xor(twos1, u)
    }
    window += inputLine
  }
  return i32x4.add(i32x4.shl(sums, 2), across(weigh(ones0, twos0, fours0), weigh(ones1, twos1, fours1)))
}

/** Each adds at most 8 to a byte's count, a remainder, too: three words carry out of the twos once at most. */
const MOST_GROUPS: usize = 31

// @ts-ignore: decorator
@inline
function product(a: v128, w: usize, masked: bool, lanes: usize): v128 {
  const x = v128.xor(a, v128.load(w))
  return masked ? v128.and(x, v128.load(w + lanes * 8)) : x
}

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
