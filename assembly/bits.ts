import * as Step from './step'

// Sums of bits. Of n weights that are not masked the sum is n − 2d, d the number of products that are −1:
//
//   binary    d = Σ popcount(a ⊕ s)
//   ternary   d = Σ popcount((a ⊕ s) ∧ m)
//
// The tile is 4 windows × 1 channel, so that a word of weights is loaded once for four; the four windows lie in lanes
// from there on.

export function bits(step: usize, slot: usize, rows: usize): void {
  const channels = Step.channels(step)
  const channelBytes = Step.lines(step) * Step.run(step) * (Step.masked(step) ? 16 : 8)
  const count = Step.positions(step, rows)
  // Eight channels are one byte of the output's words; their weights stay in the cache for all of the batch.
  for (let channel: usize = 0; channel < channels; channel += 8) {
    const block = min<usize>(8, channels - channel)
    const weights = Step.weights(step) + channel * channelBytes
    if (Step.floats(step)) {
      floatBlock(step, slot, channel, block, weights, channelBytes, count)
    } else if (Step.pool(step) == 2) {
      poolBlock(step, slot, channel, block, weights, channelBytes, count)
    } else {
      plainBlock(step, slot, channel, block, weights, channelBytes, count)
    }
  }
}

/** A window of windows fires iff its smallest distance does. */
function poolBlock(
  step: usize, slot: usize, channel: usize, block: usize, weights: usize, channelBytes: usize, count: usize,
): void {
  const stepX = Step.inputStepX(step)
  const stepY = Step.inputStepY(step)
  const limits = Step.limits(step) + channel * 4
  for (let position: usize = 0; position < count; position++) {
    const from = Step.inputAt(step, slot, position)
    let byte: u32 = 0
    for (let i: usize = 0; i < block; i++) {
      const distances = distances4(
        step, weights + i * channelBytes, from, from + stepX, from + stepY, from + stepY + stepX,
      )
      const fires = i32x4.le_s(distances, v128.load_splat<u32>(limits + i * 4))
      byte |= u32(v128.any_true(fires)) << u32(i)
    }
    store<u8>(Step.outputAt(step, slot, position) + (channel >> 3), <u8>byte)
  }
}

function plainBlock(
  step: usize, slot: usize, channel: usize, block: usize, weights: usize, channelBytes: usize, count: usize,
): void {
  const limits = Step.limits(step) + channel * 4
  const byte = channel >> 3
  let position: usize = 0
  for (; position + 4 <= count; position += 4) {
    const a = Step.inputAt(step, slot, position)
    const b = Step.inputAt(step, slot, position + 1)
    const c = Step.inputAt(step, slot, position + 2)
    const d = Step.inputAt(step, slot, position + 3)
    let bytes = i32x4.splat(0)
    for (let i: usize = 0; i < block; i++) {
      const distances = distances4(step, weights + i * channelBytes, a, b, c, d)
      const fires = i32x4.le_s(distances, v128.load_splat<u32>(limits + i * 4))
      bytes = v128.or(bytes, v128.and(fires, i32x4.splat(1 << i32(i))))
    }
    store<u8>(Step.outputAt(step, slot, position) + byte, <u8>i32x4.extract_lane(bytes, 0))
    store<u8>(Step.outputAt(step, slot, position + 1) + byte, <u8>i32x4.extract_lane(bytes, 1))
    store<u8>(Step.outputAt(step, slot, position + 2) + byte, <u8>i32x4.extract_lane(bytes, 2))
    store<u8>(Step.outputAt(step, slot, position + 3) + byte, <u8>i32x4.extract_lane(bytes, 3))
  }
  for (; position < count; position++) {
    const a = Step.inputAt(step, slot, position)
    let bits: u32 = 0
    for (let i: usize = 0; i < block; i++) {
      const fires = distance1(step, weights + i * channelBytes, a) <= load<i32>(limits + i * 4)
      bits |= u32(fires) << u32(i)
    }
    store<u8>(Step.outputAt(step, slot, position) + byte, <u8>bits)
  }
}

function floatBlock(
  step: usize, slot: usize, channel: usize, block: usize, weights: usize, channelBytes: usize, count: usize,
): void {
  let position: usize = 0
  for (; position + 4 <= count; position += 4) {
    const a = Step.inputAt(step, slot, position)
    const b = Step.inputAt(step, slot, position + 1)
    const c = Step.inputAt(step, slot, position + 2)
    const d = Step.inputAt(step, slot, position + 3)
    for (let i: usize = 0; i < block; i++) {
      const distances = distances4(step, weights + i * channelBytes, a, b, c, d)
      storeFloat(step, slot, channel + i, position, i32x4.extract_lane(distances, 0))
      storeFloat(step, slot, channel + i, position + 1, i32x4.extract_lane(distances, 1))
      storeFloat(step, slot, channel + i, position + 2, i32x4.extract_lane(distances, 2))
      storeFloat(step, slot, channel + i, position + 3, i32x4.extract_lane(distances, 3))
    }
  }
  for (; position < count; position++) {
    const a = Step.inputAt(step, slot, position)
    for (let i: usize = 0; i < block; i++) {
      storeFloat(step, slot, channel + i, position, distance1(step, weights + i * channelBytes, a))
    }
  }
}

function storeFloat(step: usize, slot: usize, channel: usize, position: usize, distance: i32): void {
  const at = channel * 4
  const sum = load<i32>(Step.totals(step) + at) - 2 * distance
  const value = f32(sum) * load<f32>(Step.scales(step) + at) + load<f32>(Step.biases(step) + at)
  store<f32>(Step.outputAt(step, slot, position) + at, value)
}

/** The distances of four windows to the weights of one channel, in lanes. */
function distances4(step: usize, weights: usize, a: usize, b: usize, c: usize, d: usize): v128 {
  const lines = Step.lines(step)
  const bytes: usize = Step.run(step) * 8
  const inputLine = Step.inputLine(step)
  let da: i64 = 0, db: i64 = 0, dc: i64 = 0, dd: i64 = 0
  if (Step.masked(step)) {
    for (let line: usize = 0; line < lines; line++) {
      for (let i: usize = 0; i < bytes; i += 8) {
        const s = load<i64>(weights)
        const m = load<i64>(weights, 8)
        weights += 16
        da += popcnt((load<i64>(a + i) ^ s) & m)
        db += popcnt((load<i64>(b + i) ^ s) & m)
        dc += popcnt((load<i64>(c + i) ^ s) & m)
        dd += popcnt((load<i64>(d + i) ^ s) & m)
      }
      a += inputLine
      b += inputLine
      c += inputLine
      d += inputLine
    }
  } else {
    for (let line: usize = 0; line < lines; line++) {
      for (let i: usize = 0; i < bytes; i += 8) {
        const s = load<i64>(weights)
        weights += 8
        da += popcnt(load<i64>(a + i) ^ s)
        db += popcnt(load<i64>(b + i) ^ s)
        dc += popcnt(load<i64>(c + i) ^ s)
        dd += popcnt(load<i64>(d + i) ^ s)
      }
      a += inputLine
      b += inputLine
      c += inputLine
      d += inputLine
    }
  }
  const distances = i32x4.splat(<i32>da)
  return i32x4.replace_lane(
    i32x4.replace_lane(i32x4.replace_lane(distances, 1, <i32>db), 2, <i32>dc), 3, <i32>dd,
  )
}

/** The distance of one window to the weights of one channel. */
function distance1(step: usize, weights: usize, a: usize): i32 {
  const lines = Step.lines(step)
  const bytes: usize = Step.run(step) * 8
  const inputLine = Step.inputLine(step)
  const masked = Step.masked(step)
  let distance: i64 = 0
  for (let line: usize = 0; line < lines; line++) {
    for (let i: usize = 0; i < bytes; i += 8) {
      if (masked) {
        distance += popcnt((load<i64>(a + i) ^ load<i64>(weights)) & load<i64>(weights, 8))
        weights += 16
      } else {
        distance += popcnt(load<i64>(a + i) ^ load<i64>(weights))
        weights += 8
      }
    }
    a += inputLine
  }
  return <i32>distance
}
