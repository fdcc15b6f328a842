import { readFileSync } from 'node:fs'
import { type Model, type ModelContent, parseModel, serializeModel } from '../../src/engine/format.ts'
import type { Kernels } from '../../src/engine/kernels/kernels.ts'
import { wasmKernels } from '../../src/engine/kernels/wasm.ts'
import { Network } from '../../src/engine/network.ts'
import { fillArena, type Plan, type PlanOptions, planModel } from '../../src/engine/plan.ts'

const kernelsModule = new WebAssembly.Module(
  new Uint8Array(readFileSync(new URL('../../dist/kernels.wasm', import.meta.url))),
)

/** The model of the fixture that the Python side wrote. */
export function tinyBytes(): Uint8Array {
  return new Uint8Array(readFileSync(new URL('../fixtures/tiny.safetensors', import.meta.url)))
}

/** The content as a file and back: as serving would meet it. */
export function reparse(content: ModelContent): Model {
  return parseModel(serializeModel(content))
}

export interface Loaded {
  readonly plan: Plan
  readonly arena: SharedArrayBuffer
  readonly kernels: Kernels
  readonly network: Network
}

/** A model on an arena of its own, with the wasm kernels. */
export function load(model: Model, options: PlanOptions): Loaded {
  const plan = planModel(model, options)
  const pages = Math.ceil(plan.arenaBytes / 2 ** 16)
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
  fillArena(model, plan, memory.buffer)
  const kernels = wasmKernels(kernelsModule, memory)
  return { plan, arena: memory.buffer, kernels, network: new Network(plan, memory.buffer, kernels) }
}
