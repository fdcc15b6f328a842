/** Networks on an arena, ready to be timed on each backend. */

import { createHash } from 'node:crypto'
import { DIGEST_BYTES } from '../src/engine/format/tensors.ts'
import { type Check, type Model, parseModel, serializeModel } from '../src/engine/format.ts'
import type { Kernels } from '../src/engine/kernels/kernels.ts'
import { Network, type NetworkSlot } from '../src/engine/network.ts'
import { fillArena, type Plan, planModel } from '../src/engine/plan.ts'
import { type LoadedBackend, openKernels } from '../src/serving/backend.ts'
import { Random } from '../test/random-model.ts'
import type { NetworkModel } from './networks.ts'

/** A model in memory, which all backends see alike. */
export interface Arena {
  readonly model: Model
  readonly plan: Plan
  readonly memory: WebAssembly.Memory
}

/** A backend on an arena. */
export interface Runner {
  readonly kernels: Kernels
  readonly slot: NetworkSlot
}

const PAGE_BYTES = 65_536
const CHECK_ROWS = 8

/** @param maxRows of a batch; as many as serving takes where it is left out */
export function openArena(model: Model, maxRows?: number): Arena {
  const plan = planModel(model, { slots: 1, maxRows })
  const pages = Math.ceil(plan.arenaBytes / PAGE_BYTES)
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
  fillArena(model, plan, memory.buffer)
  return { model, plan, memory }
}

export function openRunner({ plan, memory }: Arena, backend: LoadedBackend): Runner {
  const kernels = openKernels(backend, memory)
  return { kernels, slot: new Network(plan, memory.buffer, kernels).slot(0) }
}

/**
 * A network as a whole model. Its check vectors are what one backend computes: by `verifyNetwork`, another one shows
 * that it computes the same. That both are right is shown by tests, on shapes for which the reference is fast enough.
 */
export function completeModel(network: NetworkModel, backend: LoadedBackend): Model {
  const none: Check = {
    rows: 0,
    image: new Uint8Array(),
    digest: new Uint8Array(),
    logits: new Float32Array(),
  }
  const { slot } = openRunner(openArena({ ...network, check: none, digest: '' }, CHECK_ROWS), backend)
  return parseModel(serializeModel({ ...network, check: recordCheck(slot) }))
}

/** Black, white, and noise. */
function recordCheck(slot: NetworkSlot): Check {
  const image = new Random(1).bytes(CHECK_ROWS * slot.rowBytes)
  image.fill(0, 0, slot.rowBytes)
  image.fill(255, slot.rowBytes, 2 * slot.rowBytes)
  const outputs = [...slot.trace(image, CHECK_ROWS, 0)]
  const digest = new Uint8Array(DIGEST_BYTES * outputs.length)
  for (const [operation, output] of outputs.entries()) {
    digest.set(createHash('sha256').update(output).digest(), DIGEST_BYTES * operation)
  }
  return { rows: CHECK_ROWS, image, digest, logits: slot.classify(image, CHECK_ROWS, 1) }
}
