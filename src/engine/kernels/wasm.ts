import type { Kernels } from './kernels.ts'

/**
 * The kernels of `assembly/`, on the arena that the memory is.
 *
 * @param module the compiled kernels; many threads may instantiate one module on one memory
 */
export function wasmKernels(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  const { run } = new WebAssembly.Instance(module, { env: { memory } }).exports
  if (typeof run !== 'function')
    throw new TypeError('the module exports no function run: it is not the kernels')
  return { backend: 'wasm', run: run as Kernels['run'] }
}
