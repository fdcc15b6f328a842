import { readFileSync } from 'node:fs'
import t from 'tap'
import { wasmVariants } from '../../src/engine/kernels/wasm.ts'
import { chooseWasmVariant } from '../../src/serving/wasm-variant.ts'

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
