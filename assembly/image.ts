import * as Step from './step'

/** Copies rows of pixels into a value with a border, line by line. */
export function image(step: usize, slot: usize, rows: usize): void {
  const height = Step.height(step)
  const bytes = Step.inputLine(step)
  for (let row: usize = 0; row < rows; row++) {
    let from = slot + Step.input(step) + row * Step.inputRow(step)
    let to = slot + Step.output(step) + row * Step.outputRow(step)
    for (let y: usize = 0; y < height; y++) {
      memory.copy(to, from, bytes)
      from += bytes
      to += Step.outputLine(step)
    }
  }
}
