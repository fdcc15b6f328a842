import { readFileSync } from 'node:fs'
import t from 'tap'
import { wasmVariants } from '../../src/engine/kernels/wasm.ts'
import { type Contestant, chooseWasmVariant, fastest } from '../../src/serving/wasm-variant.ts'

/** Milliseconds a call takes, by how many there were before. */
type Duration = (call: number) => number

/** What is chosen where calls take so long, and when, on a clock that only they move. */
function choice(durations: Readonly<Record<'scalar' | 'simd', Duration>>) {
  let now = 1e6
  const contestants = wasmVariants.map((variant): Contestant => {
    let calls = 0
    return { variant, run: () => (now += durations[variant](calls++)) }
  })
  return { variant: fastest(contestants, () => now), milliseconds: now - 1e6 }
}

const takes = (milliseconds: number) => () => milliseconds

t.test('the variant that is clearly faster is chosen', async t => {
  t.equal(choice({ scalar: takes(0.02), simd: takes(0.03) }).variant, 'scalar')
  t.equal(choice({ scalar: takes(0.03), simd: takes(0.02) }).variant, 'simd')
})

t.test('of variants that differ by less than a twentieth, scalar is chosen, whichever is ahead', async t => {
  t.equal(choice({ scalar: takes(0.0204), simd: takes(0.02) }).variant, 'scalar')
  t.equal(choice({ scalar: takes(0.02), simd: takes(0.0204) }).variant, 'scalar')
})

t.test('calls from before V8 compiled a variant anew do not count', async t => {
  const compiledAfter =
    (calls: number, milliseconds: number): Duration =>
    call =>
      call < calls ? 10 * milliseconds : milliseconds
  t.equal(choice({ scalar: compiledAfter(150, 0.02), simd: takes(0.03) }).variant, 'scalar')
  t.equal(choice({ scalar: takes(0.03), simd: compiledAfter(150, 0.02) }).variant, 'simd')
})

t.test('calls that the machine interrupts do not count', async t => {
  const interrupted =
    (milliseconds: number): Duration =>
    call =>
      call % 3 === 0 ? milliseconds : milliseconds + 1
  t.equal(choice({ scalar: interrupted(0.02), simd: takes(0.03) }).variant, 'scalar')
  t.equal(choice({ scalar: takes(0.03), simd: interrupted(0.02) }).variant, 'simd')
})

t.test('a choice takes 30 ms where calls are short', async t => {
  const { milliseconds } = choice({ scalar: takes(0.02), simd: takes(0.03) })
  t.ok(milliseconds >= 30 && milliseconds < 30 + 0.05, `${milliseconds}`)
})

t.test('a choice ends within 300 ms and a round, though calls become ever faster', async t => {
  const everFaster: Duration = call => 3 + 4 * 0.97 ** call
  const { milliseconds } = choice({ scalar: everFaster, simd: everFaster })
  t.ok(milliseconds >= 300 && milliseconds < 300 + 14, `${milliseconds}`)
})

t.test('one of the variants that the built kernels have is chosen', async t => {
  const kernels = new WebAssembly.Module(
    new Uint8Array(readFileSync(new URL('../../dist/kernels.wasm', import.meta.url))),
  )
  t.ok(wasmVariants.includes(chooseWasmVariant(kernels)))
})

t.test('a module that is not the kernels is refused before anything is measured', async t => {
  // The eight bytes that every module begins with: a module of nothing.
  t.throws(
    () => chooseWasmVariant(new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0))),
    TypeError,
  )
})
