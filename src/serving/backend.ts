import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { type Backend, backends, type Kernels } from '../engine/kernels/kernels.ts'
import { type NativeAddon, type NativeBackend, nativeKernels } from '../engine/kernels/native.ts'
import { type WasmVariant, wasmKernels } from '../engine/kernels/wasm.ts'
import { XnordError } from '../errors.ts'
import type { Log } from './types.ts'
import { chooseWasmVariant } from './wasm-variant.ts'

/** All that a worker needs to make its kernels. It survives structured cloning, which an addon does not. */
export type LoadedBackend =
  | { readonly name: NativeBackend; readonly addon: string }
  | { readonly name: 'wasm'; readonly module: WebAssembly.Module; readonly variant: WasmVariant }

export interface BackendChoice {
  readonly backend: LoadedBackend
  /** What the native ones lack, and what helps; null where one was chosen, or none is wanted. */
  readonly shortfall: string | null
}

/** Where the build puts the kernels. */
export interface KernelFiles {
  readonly addon: string
  readonly wasm: string
}

/** This file lies two levels below the repository both as source and as built. */
const builtFiles: KernelFiles = {
  addon: fileURLToPath(new URL('../../dist/kernels.node', import.meta.url)),
  wasm: fileURLToPath(new URL('../../dist/kernels.wasm', import.meta.url)),
}

/**
 * Chooses a backend, once for the process: the fastest that this CPU can run.
 *
 * @param forced the only one that will do
 * @throws CONFIGURATION_INVALID where that one is not there, INTERNAL where not even wasm is
 */
export async function loadBackend(
  forced: string | undefined,
  files: KernelFiles = builtFiles,
): Promise<BackendChoice> {
  const { native, shortfall } = forced === 'wasm' ? unasked : findNative(files.addon)
  const there = backends.filter(name => name === 'wasm' || native.includes(name))
  const name = forced === undefined ? there[0]! : there.find(known => known === forced)
  if (name === undefined) {
    const reason = shortfall === null ? '' : ` The native ones ${shortfall}.`
    throw new XnordError(
      'CONFIGURATION_INVALID',
      `XNORD_BACKEND is ${JSON.stringify(forced)}; there is: ${there.join(', ')}.${reason}`,
    )
  }
  const backend = name === 'wasm' ? await loadWasm(files.wasm) : { name, addon: files.addon }
  return { backend, shortfall }
}

/** The line of the log from which whoever runs xnord learns how fast it computes, and how it could be faster. */
export function announceBackend({ backend, shortfall }: BackendChoice, workers: number, log: Log): void {
  const variant = backend.name === 'wasm' ? { variant: backend.variant } : {}
  const details = { backend: backend.name, ...variant, workers }
  const computing = `computing with the ${backend.name} kernels`
  if (shortfall === null) log.info(details, computing)
  else log.warn(details, `${computing}; the native ones, which are faster, ${shortfall}`)
}

/** The kernels of a backend on an arena, for the thread that calls this. */
export function openKernels(backend: LoadedBackend, memory: WebAssembly.Memory): Kernels {
  return backend.name === 'wasm'
    ? wasmKernels(backend.module, memory, backend.variant)
    : nativeKernels(loadAddon(backend.addon), backend.name, memory)
}

/** Every thread has an addon of its own; a second time in a thread it is the same. */
function loadAddon(path: string): NativeAddon {
  return createRequire(import.meta.url)(path) as NativeAddon
}

interface NativeBackends {
  /** Those that this CPU can run. */
  readonly native: readonly Backend[]
  /** Why there are none at all; null where that is not so. */
  readonly shortfall: string | null
}

const unasked: NativeBackends = { native: [], shortfall: null }

function findNative(path: string): NativeBackends {
  try {
    return { native: loadAddon(path).backends, shortfall: null }
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException
    const shortfall =
      code === 'MODULE_NOT_FOUND'
        ? 'have not been built: npm run build does it where there is a C++ compiler'
        : `cannot be loaded: ${message.split('\n')[0]}; npm run build makes them anew`
    return { native: [], shortfall }
  }
}

async function loadWasm(file: string): Promise<LoadedBackend> {
  try {
    const module = await WebAssembly.compile(new Uint8Array(await readFile(file)))
    return { name: 'wasm', module, variant: chooseWasmVariant(module) }
  } catch (thrown) {
    const { message } = thrown as Error
    throw new XnordError('INTERNAL', `The kernels cannot be loaded (npm run build makes them): ${message}.`, {
      cause: thrown,
    })
  }
}
