import { storeFloats } from './output'
import * as Step from './step'

// Sums of floats, each in the order of the run: output channels lie in lanes, so that no sum is ever split.
//
//   input     [v v v v]         one float, broadcast
//   weights   [c0 c1 c2 c3]     one tap of four channels
//
// The tile is 1 window × 16 channels, four sums that wait for nothing but themselves: as many as an addition takes
// cycles, so two operations for four products, and no faster than the additions follow each other.

export function linear(step: usize, slot: usize, rows: usize): void {
  const channels = Step.channels(step)
  const run = Step.run(step)
  for (let channel: usize = 0; channel < channels; channel += 16) {
    const block = channel & ~31
    const lanes = Step.blockLanes(step, block)
    const weights = Step.weights(step) + block * run * 4 + (channel - block) * 4
    for (let row: usize = 0; row < rows; row++) {
      const to = Step.pixel(step, slot, row, 0)
      let value = Step.window(step, slot, row, 0)
      const end = value + run * 4
      let w = weights
      let a = f32x4.splat(0), b = a, c = a, d = a
      for (; value < end; value += 4) {
        const v = v128.load32_splat(value)
        a = f32x4.add(a, f32x4.mul(v, v128.load(w)))
        b = f32x4.add(b, f32x4.mul(v, v128.load(w, 16)))
        c = f32x4.add(c, f32x4.mul(v, v128.load(w, 32)))
        d = f32x4.add(d, f32x4.mul(v, v128.load(w, 48)))
        w += lanes * 4
      }
      storeFloats(step, to, channel * 4, a)
      storeFloats(step, to, channel * 4 + 16, b)
      storeFloats(step, to, channel * 4 + 32, c)
      storeFloats(step, to, channel * 4 + 48, d)
    }
  }
}
