import * as Step from './step'

/** Means of floats, four channels in lanes; each lane adds its window up in order and divides once. */
export function averagePool(step: usize, slot: usize, rows: usize): void {
  const height = Step.height(step)
  const width = Step.width(step)
  const lines = Step.lines(step)
  const run = Step.run(step)
  const inputLine = Step.inputLine(step)
  const inputPixel = Step.inputStepX(step) / run
  const bytes = ((Step.channels(step) + 15) & ~15) * 4
  const count = f32x4.splat(f32(lines * run))
  for (let row: usize = 0; row < rows; row++) {
    for (let y: usize = 0; y < height; y++) {
      let from = Step.window(step, slot, row, y)
      let to = Step.pixel(step, slot, row, y)
      for (let x: usize = 0; x < width; x++) {
        for (let at: usize = 0; at < bytes; at += 16) {
          let sums = f32x4.splat(0)
          for (let line: usize = 0; line < lines; line++) {
            let pixel = from + line * inputLine + at
            for (let i: usize = 0; i < run; i++) {
              sums = f32x4.add(sums, v128.load(pixel))
              pixel += inputPixel
            }
          }
          v128.store(to + at, f32x4.div(sums, count))
        }
        from += Step.inputStepX(step)
        to += Step.outputPixel(step)
      }
    }
  }
}
