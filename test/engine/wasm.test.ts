import t from 'tap'
import { STEP_BYTES, stepKinds, writeStep } from '../../src/engine/kernels/step.ts'
import { wasmKernels, wasmVariants } from '../../src/engine/kernels/wasm.ts'
import { type TestedBackend, testedBackends } from './backends.ts'

t.test('a module that is not the kernels is refused', async t => {
  // The eight bytes that every module begins with: a module of nothing.
  const module = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0))
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
  for (const variant of wasmVariants) t.throws(() => wasmKernels(module, memory, variant), TypeError)
})

const channels = 32
const input = 1024
const output = 2048
const tables = 4096
const weights = 8192
const scales = tables + 4 * channels

/** Sums of one window of so many words, all of whose products are −1; odd channels mask the last word where masked. */
function lowestSums(kernels: TestedBackend, words: number, masked: boolean): readonly number[] {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true })
  const arena = memory.buffer
  new Uint8Array(arena, input, 8 * words).fill(0xff)
  new Float32Array(arena, scales, channels).fill(1)
  // Of each word 32 signs of 0, then, where masked, 32 masks.
  const bits = new BigInt64Array(arena, weights, 2 * channels * words)
  if (masked) {
    for (const index of bits.keys()) {
      const word = Math.floor(index / (2 * channels))
      const isMask = index % (2 * channels) >= channels
      if (isMask && (index % 2 === 0 || word < words - 1)) bits[index] = -1n
    }
  }
  const line = 8 * words
  writeStep(new DataView(arena), STEP_BYTES, {
    kind: stepKinds.bits,
    pool: 1,
    floats: 1,
    masked: Number(masked),
    planes: 1,
    shifts: 0,
    input,
    inputRow: line,
    inputLine: line,
    inputStepX: line,
    inputStepY: line,
    lines: 1,
    run: words,
    output,
    outputRow: 4 * channels,
    outputLine: 4 * channels,
    outputPixel: 4 * channels,
    outputBorder: 0,
    height: 1,
    width: 1,
    channels,
    addend: 0,
    weights,
    limits: 0,
    totals: tables,
    scales,
    biases: scales + 4 * channels,
  })
  kernels.create(memory).run(STEP_BYTES, 1, 0, 1)
  return [...new Float32Array(arena, output, channels)]
}

for (const backend of testedBackends.filter(({ name }) => name.startsWith('wasm'))) {
  for (const masked of [false, true]) {
    t.test(
      `${backend.name} counts${masked ? ' masked' : ''} words that are all −1, however many`,
      async t => {
        for (let words = 1; words <= 100; words++) {
          const sums = Array.from({ length: channels }, (_, channel) =>
            masked && channel % 2 === 1 ? -128 * (words - 1) : -128 * words,
          )
          t.strictSame(lowestSums(backend, words, masked), sums, `${words} words`)
        }
      },
    )
  }
}
