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
 * many calls is one after that, and a call takes some 15 µs.
 */
const LEAST_MILLISECONDS = 30
const LONGEST_MILLISECONDS = 300
/** Nothing that is still being compiled gets this many calls without becoming faster. */
const STEADY_ROUNDS = 200
/** Times closer than this are the same: on a busy machine they change by a few per cent. */
const FASTER = 0.95

export interface Contestant {
  readonly variant: WasmVariant
  /** One call: the same work for each contestant. */
  readonly run: () => void
}

/**
 * Which variant of the kernels is the faster one here: measured, in a memory of its own, in some 30 ms. Where it makes no
 * difference that is `scalar`, which needs the fewer operations wherever one instruction counts the bits of a 64-bit
 * register, so on all x86-64 with POPCNT (a Zen 4 takes 16 % less time here). 64-bit ARM counts in vectors alone.
 */
export function chooseWasmVariant(module: WebAssembly.Module): WasmVariant {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
  // Memory that nobody wrote is one page of zeros at many addresses, which caches take badly.
  new Uint8Array(memory.buffer).fill(1)
  writeStep(new DataView(memory.buffer), STEP_BYTES, step)
  const contestants = wasmVariants.map((variant): Contestant => {
    const { run } = wasmKernels(module, memory, variant)
    return { variant, run: () => run(STEP_BYTES, 1, 0, 1) }
  })
  return fastest(contestants, () => performance.now())
}

/**
 * The first contestant, unless a later one is clearly faster.
 *
 * @param contestants at least one
 * @param clock milliseconds
 */
export function fastest(contestants: readonly Contestant[], clock: () => number): WasmVariant {
  const results = contestants.map(({ variant, run }) => ({
    variant,
    run,
    milliseconds: Number.POSITIVE_INFINITY,
  }))
  const begin = clock()
  let now = begin
  let steady = 0
  while (now - begin < LONGEST_MILLISECONDS && (now - begin < LEAST_MILLISECONDS || steady < STEADY_ROUNDS)) {
    steady++
    // They take turns, so that whatever else the machine does slows both.
    for (const result of results) {
      result.run()
      const after = clock()
      const milliseconds = after - now
      now = after
      if (milliseconds < FASTER * result.milliseconds) steady = 0
      result.milliseconds = Math.min(result.milliseconds, milliseconds)
    }
  }
  return results.reduce((best, other) => (other.milliseconds < FASTER * best.milliseconds ? other : best))
    .variant
}
