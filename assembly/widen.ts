import * as Step from './step'

/**
 * Bytes of pixels p to int16 p − 128, line by line into a value with a border of zeros.
 *
 * Eight pixels an instruction; what is left of a line one by one.
 */
export function widen(step: usize, slot: usize, rows: usize): void {
  const height = Step.height(step)
  const line = Step.inputLine(step)
  const whole = line & ~7
  const centre = i16x8.splat(128)
  for (let row: usize = 0; row < rows; row++) {
    for (let y: usize = 0; y < height; y++) {
      const from = slot + Step.input(step) + row * Step.inputRow(step) + y * line
      const to = slot + Step.output(step) + row * Step.outputRow(step) + y * Step.outputLine(step)
      let i: usize = 0
      for (; i < whole; i += 8) {
        v128.store(to + 2 * i, i16x8.sub(v128.load_ext<u8>(from + i), centre))
      }
      for (; i < line; i++) store<i16>(to + 2 * i, <i16>load<u8>(from + i) - 128)
    }
  }
}
