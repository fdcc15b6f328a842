import t from 'tap'
import { wasmKernels, wasmVariants } from '../../src/engine/kernels/wasm.ts'

t.test('a module that is not the kernels is refused', async t => {
  // The eight bytes that every module begins with: a module of nothing.
  const module = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0))
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
  for (const variant of wasmVariants) t.throws(() => wasmKernels(module, memory, variant), TypeError)
})
