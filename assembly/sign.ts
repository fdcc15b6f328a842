import * as Step from './step'

/** Floats to bits, v ≥ limit: 16 channels are two bytes of the output. */
export function sign(step: usize, slot: usize, rows: usize): void {
  const height = Step.height(step)
  const width = Step.width(step)
  const channels = Step.channels(step)
  const limits = Step.limits(step)
  for (let row: usize = 0; row < rows; row++) {
    for (let y: usize = 0; y < height; y++) {
      let from = Step.window(step, slot, row, y)
      let to = Step.pixel(step, slot, row, y)
      for (let x: usize = 0; x < width; x++) {
        for (let channel: usize = 0; channel < channels; channel += 16) {
          const values = from + 4 * channel
          const least = limits + 4 * channel
          const bits =
            i32x4.bitmask(f32x4.ge(v128.load(values), v128.load(least))) |
            (i32x4.bitmask(f32x4.ge(v128.load(values, 16), v128.load(least, 16))) << 4) |
            (i32x4.bitmask(f32x4.ge(v128.load(values, 32), v128.load(least, 32))) << 8) |
            (i32x4.bitmask(f32x4.ge(v128.load(values, 48), v128.load(least, 48))) << 12)
          store<u16>(to + (channel >> 3), <u16>bits)
        }
        from += Step.inputStepX(step)
        to += Step.outputPixel(step)
      }
    }
  }
}
