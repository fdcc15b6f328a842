import * as Step from './step'

// Values of a slot share memory by lifetime, so what a kernel does not write must be written before it runs:
//
//   b b b b b b
//   b p p p p b     p  the pixels
//   b p p p p b     b  the border, of outputBorder pixels
//   b b b b b b

/** Fills the border, and the words of bits of which the step has no channels. */
export function prepareOutput(step: usize, slot: usize, rows: usize): void {
  const kind = Step.kind(step)
  const byte: u64 = kind == Step.IMAGE ? 0x8080808080808080 : 0
  const pixel = Step.outputPixel(step)
  const line = Step.outputLine(step)
  const height = Step.height(step)
  const inside = Step.width(step) * pixel
  const side = Step.outputBorder(step) * pixel
  const across = side + inside + side
  // Kernels write bits of 16 channels at a time: two bytes.
  const unwritten = kind != Step.IMAGE && !Step.floats(step) && ((Step.channels(step) + 15) >> 4) << 1 < pixel
  if (side == 0 && !unwritten) return
  for (let row: usize = 0; row < rows; row++) {
    const first = slot + Step.output(step) + row * Step.outputRow(step) - side
    for (let y: usize = 1; y <= Step.outputBorder(step); y++) {
      fill(first - y * line, across, byte)
      fill(first + (height - 1 + y) * line, across, byte)
    }
    for (let y: usize = 0; y < height; y++) {
      const from = first + y * line
      if (unwritten) {
        fill(from, across, byte)
      } else {
        fill(from, side, byte)
        fill(from + side + inside, side, byte)
      }
    }
  }
}

/** Most borders are of a few words, for which `memory.fill` takes longer to be called than this to be done. */
function fill(to: usize, bytes: usize, byte: u64): void {
  const end = to + bytes
  for (; to + 8 <= end; to += 8) store<u64>(to, byte)
  for (; to < end; to++) store<u8>(to, <u8>byte)
}
