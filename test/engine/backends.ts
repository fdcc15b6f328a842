/** What the tests of the engine run on: the interpreter of steps, and every backend that this machine has. */

import { readFileSync } from 'node:fs'
import type { Kernels } from '../../src/engine/kernels/kernels.ts'
import { nativeKernels } from '../../src/engine/kernels/native.ts'
import { wasmKernels, wasmVariants } from '../../src/engine/kernels/wasm.ts'
import { builtAddon } from './native-addon.ts'
import { interpreter } from './step-interpreter.ts'

export interface TestedBackend {
  readonly name: string
  readonly create: (memory: WebAssembly.Memory) => Pick<Kernels, 'run'>
}

export const stepInterpreter: TestedBackend = {
  name: 'the interpreter',
  create: memory => interpreter(memory.buffer),
}

const wasm = new WebAssembly.Module(
  new Uint8Array(readFileSync(new URL('../../dist/kernels.wasm', import.meta.url))),
)
const wasmBackends = wasmVariants.map(
  (variant): TestedBackend => ({
    name: `wasm, ${variant}`,
    create: memory => wasmKernels(wasm, memory, variant),
  }),
)

const addon = builtAddon.skip ? null : builtAddon.load()
const nativeBackends = (addon?.backends ?? []).map(
  (backend): TestedBackend => ({
    name: backend,
    create: memory => nativeKernels(addon!, backend, memory),
  }),
)

export const testedBackends: readonly TestedBackend[] = [stepInterpreter, ...wasmBackends, ...nativeBackends]
