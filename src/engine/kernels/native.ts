import type { Backend, Kernels } from './kernels.ts'

export type NativeBackend = Exclude<Backend, 'wasm'>

/** What `native/addon.cpp` exports. */
export interface NativeAddon {
  /** Those that this CPU has all instructions for, fastest first. */
  readonly backends: readonly NativeBackend[]
  /**
   * @param memory the arena: shared, and aligned to 64 bytes; it lives as long as the function does
   * @throws RangeError for a backend that is not there, or that this CPU cannot run
   */
  bind(backend: NativeBackend, memory: Uint8Array<SharedArrayBuffer>): Kernels['run']
}

/** The kernels of `native/`, on the arena that the memory is. */
export function nativeKernels(
  addon: NativeAddon,
  backend: NativeBackend,
  memory: WebAssembly.Memory,
): Kernels {
  return { backend, run: addon.bind(backend, new Uint8Array(memory.buffer)) }
}
