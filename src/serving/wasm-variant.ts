import { STEP_BYTES, type Step, stepKinds, writeStep } from '../engine/kernels/step.ts'
import { type WasmVariant, wasmKernels, wasmVariants } from '../engine/kernels/wasm.ts'

/** What has to stay within a page of 64 KiB: a 3 × 3 convolution of 128 channels, 8 × 8 × 128 → 8 × 8 × 32 bits. */
const side = 8
const kernel = 3
const channels = { in: 128, out: 32 }
const inputPixel = channels.in / 8
const outputPixel = channels.out / 8
const words = (kernel * channels.in) / 64
const input = 1024
const output = input + (side + kernel - 1) ** 2 * inputPixel
const limits = output + side ** 2 * outputPixel
const weights = limits + 4 * channels.out

const step: Step = {
  kind: stepKinds.bits,
  pool: 1,
  floats: 0,
  masked: 0,
  planes: 1,
  shifts: 0,
  input,
  inputRow: 0,
  inputLine: (side + kernel - 1) * inputPixel,
  inputStepX: inputPixel,
  inputStepY: (side + kernel - 1) * inputPixel,
  lines: kernel,
  run: words,
  output,
  outputRow: 0,
  outputLine: side * outputPixel,
  outputPixel,
  outputBorder: 0,
  height: side,
  width: side,
  channels: channels.out,
  addend: 0,
  weights,
  limits,
  totals: 0,
  scales: 0,
  biases: 0,
}

/**
 * V8 compiles anew, in the background, what is called often; until then code is up to ten times slower. The fastest of
 * many calls is one after that, and a call takes some 30 µs.
 */
const LEAST_MILLISECONDS = 30
const LONGEST_MILLISECONDS = 300
/** Nothing that is still being compiled gets this many calls without becoming faster. */
const STEADY_ROUNDS = 200
const FASTER = 0.95

/** Which variant of the kernels is the faster one here: measured, in a memory of its own, in some 30 ms. */
export function chooseWasmVariant(module: WebAssembly.Module): WasmVariant {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
  // Memory that nobody wrote is one page of zeros at many addresses, which caches take badly.
  new Uint8Array(memory.buffer).fill(1)
  writeStep(new DataView(memory.buffer), STEP_BYTES, step)
  const contestants = wasmVariants.map(variant => {
    const { run } = wasmKernels(module, memory, variant)
    return { variant, run, milliseconds: Number.POSITIVE_INFINITY }
  })
  const begin = performance.now()
  let now = begin
  let steady = 0
  while (now - begin < LONGEST_MILLISECONDS && (now - begin < LEAST_MILLISECONDS || steady < STEADY_ROUNDS)) {
    steady++
    // They take turns, so that whatever else the machine does slows both.
    for (const contestant of contestants) {
      contestant.run(STEP_BYTES, 1, 0, 1)
      const after = performance.now()
      const milliseconds = after - now
      now = after
      if (milliseconds < FASTER * contestant.milliseconds) steady = 0
      contestant.milliseconds = Math.min(contestant.milliseconds, milliseconds)
    }
  }
  return contestants.reduce((best, other) => (other.milliseconds < best.milliseconds ? other : best)).variant
}
