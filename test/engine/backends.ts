/** What the tests of the engine run on: the interpreter of steps, and every backend that this machine has. */

import type { Kernels } from '../../src/engine/kernels/kernels.ts'
import { interpreter } from './step-interpreter.ts'

export interface TestedBackend {
  readonly name: string
  readonly create: (memory: WebAssembly.Memory) => Pick<Kernels, 'run'>
}

export const stepInterpreter: TestedBackend = {
  name: 'interpreter',
  create: memory => interpreter(memory.buffer as SharedArrayBuffer),
}

export const testedBackends: readonly TestedBackend[] = [stepInterpreter]
