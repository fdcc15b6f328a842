import * as Step from './step'

// Sums of pixels. Output channels lie in lanes, two taps side by side, and one instruction multiplies and adds both:
//
//   pixels    [p0 p1 | p0 p1 | p0 p1 | p0 p1]     32 bits, broadcast
//   weights   [c0 c0 | c1 c1 | c2 c2 | c3 c3]     two taps of four channels
//   i32x4.dot_i16x8_s                             four sums, of which nothing has to be added across lanes
//
// The tile is 4 windows × 8 channels: 8 accumulators, and for 8 multiplications with addition 4 loads of pixels and
// 2 of weights.

/** Bytes of weights of one pair of taps of 8 channels. */
const PAIR_BYTES: usize = 32
/** Bytes of sums of one window for 8 channels: where they wait in the slot's scratch, window after window. */
const SUM_BYTES: usize = 32

export function pixels(step: usize, slot: usize, rows: usize): void {
  const blocks = (Step.channels(step) + 7) >> 3
  const blockBytes = Step.lines(step) * Step.run(step) * PAIR_BYTES
  const count = Step.positions(step, rows)
  const pooled = Step.pool(step) == 2
  for (let block: usize = 0; block < blocks; block++) {
    const weights = Step.weights(step) + block * blockBytes
    if (pooled) {
      poolBlock(step, slot, block, weights, count)
    } else {
      plainBlock(step, slot, block, weights, count)
    }
  }
}

/** A window of windows has a sum that reaches the threshold iff the largest does. */
function poolBlock(step: usize, slot: usize, block: usize, weights: usize, count: usize): void {
  const stepX = Step.inputStepX(step)
  const stepY = Step.inputStepY(step)
  for (let position: usize = 0; position < count; position++) {
    const from = Step.inputAt(step, slot, position)
    sums4(step, slot, weights, from, from + stepX, from + stepY, from + stepY + stepX)
    const low = i32x4.max_s(
      i32x4.max_s(v128.load(slot), v128.load(slot, 32)),
      i32x4.max_s(v128.load(slot, 64), v128.load(slot, 96)),
    )
    const high = i32x4.max_s(
      i32x4.max_s(v128.load(slot, 16), v128.load(slot, 48)),
      i32x4.max_s(v128.load(slot, 80), v128.load(slot, 112)),
    )
    storeBits(step, Step.outputAt(step, slot, position), block, low, high)
  }
}

function plainBlock(step: usize, slot: usize, block: usize, weights: usize, count: usize): void {
  let position: usize = 0
  for (; position + 4 <= count; position += 4) {
    const a = Step.inputAt(step, slot, position)
    const b = Step.inputAt(step, slot, position + 1)
    const c = Step.inputAt(step, slot, position + 2)
    const d = Step.inputAt(step, slot, position + 3)
    sums4(step, slot, weights, a, b, c, d)
    for (let i: usize = 0; i < 4; i++) storeSums(step, slot, block, position + i, slot + i * SUM_BYTES)
  }
  for (; position < count; position++) {
    sums1(step, slot, weights, Step.inputAt(step, slot, position))
    storeSums(step, slot, block, position, slot)
  }
}

function storeSums(step: usize, slot: usize, block: usize, position: usize, sums: usize): void {
  const to = Step.outputAt(step, slot, position)
  const low = v128.load(sums)
  const high = v128.load(sums, 16)
  if (!Step.floats(step)) {
    storeBits(step, to, block, low, high)
    return
  }
  const table = block * 32
  v128.store(to + table, toFloats(low, Step.scales(step) + table, Step.biases(step) + table))
  v128.store(to + table, toFloats(high, Step.scales(step) + table + 16, Step.biases(step) + table + 16), 16)
}

function toFloats(sums: v128, scales: usize, biases: usize): v128 {
  return f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(sums), v128.load(scales)), v128.load(biases))
}

/** Eight channels are one byte of the output's words. */
// @ts-ignore: decorator
@inline
function storeBits(step: usize, to: usize, block: usize, low: v128, high: v128): void {
  const limits = Step.limits(step) + block * 32
  const bits = i32x4.bitmask(i32x4.ge_s(low, v128.load(limits))) | i32x4.bitmask(i32x4.ge_s(high, v128.load(limits, 16))) << 4
  store<u8>(to + block, <u8>bits)
}

/** The sums of four windows for eight channels, to the slot's scratch. */
function sums4(step: usize, slot: usize, weights: usize, a: usize, b: usize, c: usize, d: usize): void {
  const lines = Step.lines(step)
  const bytes: usize = Step.run(step) * 4
  const inputLine = Step.inputLine(step)
  let a0 = i32x4.splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0
  for (let line: usize = 0; line < lines; line++) {
    for (let i: usize = 0; i < bytes; i += 4) {
      const w0 = v128.load(weights)
      const w1 = v128.load(weights, 16)
      weights += PAIR_BYTES
      const pa = v128.load_splat<u32>(a + i)
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(pa, w0))
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(pa, w1))
      const pb = v128.load_splat<u32>(b + i)
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(pb, w0))
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(pb, w1))
      const pc = v128.load_splat<u32>(c + i)
      c0 = i32x4.add(c0, i32x4.dot_i16x8_s(pc, w0))
      c1 = i32x4.add(c1, i32x4.dot_i16x8_s(pc, w1))
      const pd = v128.load_splat<u32>(d + i)
      d0 = i32x4.add(d0, i32x4.dot_i16x8_s(pd, w0))
      d1 = i32x4.add(d1, i32x4.dot_i16x8_s(pd, w1))
    }
    a += inputLine
    b += inputLine
    c += inputLine
    d += inputLine
  }
  v128.store(slot, a0)
  v128.store(slot, a1, 16)
  v128.store(slot, b0, 32)
  v128.store(slot, b1, 48)
  v128.store(slot, c0, 64)
  v128.store(slot, c1, 80)
  v128.store(slot, d0, 96)
  v128.store(slot, d1, 112)
}

/** The sums of one window for eight channels, to the slot's scratch. */
function sums1(step: usize, slot: usize, weights: usize, a: usize): void {
  const lines = Step.lines(step)
  const bytes: usize = Step.run(step) * 4
  const inputLine = Step.inputLine(step)
  let a0 = i32x4.splat(0), a1 = a0
  for (let line: usize = 0; line < lines; line++) {
    for (let i: usize = 0; i < bytes; i += 4) {
      const pa = v128.load_splat<u32>(a + i)
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(pa, v128.load(weights)))
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(pa, v128.load(weights, 16)))
      weights += PAIR_BYTES
    }
    a += inputLine
  }
  v128.store(slot, a0)
  v128.store(slot, a1, 16)
}
