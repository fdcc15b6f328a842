import type { Kernels } from './kernels.ts'

/** How bits are counted: in 64-bit registers, or in vectors. Which is faster depends on the CPU. */
export const wasmVariants = ['scalar', 'simd'] as const
export type WasmVariant = (typeof wasmVariants)[number]

const exportOf: Readonly<Record<WasmVariant, string>> = { scalar: 'runScalar', simd: 'runSimd' }

/**
 * The kernels of `assembly/`, on the arena that the memory is.
 *
 * @param module the compiled kernels; many threads may instantiate one module on one memory
 */
export function wasmKernels(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  variant: WasmVariant,
): Kernels {
  const run = new WebAssembly.Instance(module, { env: { memory } }).exports[exportOf[variant]]
  if (typeof run !== 'function')
    throw new TypeError(`the module exports no function ${exportOf[variant]}: it is not the kernels`)
  return { backend: 'wasm', run: run as Kernels['run'] }
}
