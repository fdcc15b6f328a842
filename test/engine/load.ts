import { readFileSync } from 'node:fs'
import { type Model, type ModelContent, parseModel, serializeModel } from '../../src/engine/format.ts'
import type { Kernels } from '../../src/engine/kernels/kernels.ts'
import { Network } from '../../src/engine/network.ts'
import { fillArena, type Plan, type PlanOptions, planModel } from '../../src/engine/plan.ts'
import { stepInterpreter, type TestedBackend } from './backends.ts'

/** A chain of bits that the Python side wrote. */
export function tinyBytes(): Uint8Array {
  return fixture('tiny')
}

/** A residual network from there: signs, means and sums of floats, and additions to them. */
export function residualBytes(): Uint8Array {
  return fixture('residual')
}

function fixture(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../fixtures/${name}.safetensors`, import.meta.url)))
}

/** The content as a file and back: as serving would meet it. */
export function reparse(content: ModelContent): Model {
  return parseModel(serializeModel(content))
}

export interface Loaded {
  readonly plan: Plan
  readonly memory: WebAssembly.Memory
  readonly arena: SharedArrayBuffer
  readonly kernels: Pick<Kernels, 'run'>
  readonly network: Network
}

/** A model on an arena of its own. */
export function load(model: Model, options: PlanOptions, backend: TestedBackend = stepInterpreter): Loaded {
  const plan = planModel(model, options)
  const pages = Math.ceil(plan.arenaBytes / 2 ** 16)
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
  fillArena(model, plan, memory.buffer)
  const kernels = backend.create(memory)
  const network = new Network(plan, memory.buffer, kernels)
  return { plan, memory, arena: memory.buffer, kernels, network }
}
