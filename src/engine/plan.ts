/** Where a model's weights, steps and values lie in the arena: decided once, when it is loaded. */

import { XnordError } from '../errors.ts'
import type { Model } from './format.ts'
import { inferValues, isWeighted, LOGITS, type Operation } from './graph.ts'
import { STEP_BYTES, type Step, writeStep } from './kernels/step.ts'
import { checkMagnitudes } from './magnitude.ts'
import { blocksOf, layOutParameters, type Parameters } from './parameters.ts'
import { layOutSlot, outputOf, type SlotLayout, sourceOf } from './slot.ts'
import { imageStep, stepOf, workOf } from './steps.ts'
import { alignUp, gatheredBytes, type ValueLayout } from './values.ts'

/** A loaded model as numbers: small, and cloned to every worker. Addresses count bytes from the arena's start. */
export interface Plan {
  readonly arenaBytes: number
  /** Batches that can be computed at the same time. */
  readonly slots: number
  /** Rows of one batch at most. */
  readonly maxRows: number
  /** Of one row of pixels. */
  readonly rowBytes: number
  readonly members: number
  readonly classes: number
  /** Of a row and member: 64-bit words of weights that its sums read; a pixel counts as eight bits. */
  readonly wordOperations: number
  /** Repacked weights of all members. */
  readonly weightBytes: number
  /** The same with thresholds, scales and biases. */
  readonly parameterBytes: number
  readonly slotBytes: number
  /** Address of the first slot. */
  readonly slotsAddress: number
  /** Address of the first step of the first member; those of a member lie one behind the other. */
  readonly stepsAddress: number
  readonly stepsPerMember: number
  /** Of a member's steps, the first that is an operation's: 1 where one copies the image before, else 0. */
  readonly firstOperation: 0 | 1
  /** Offset in a slot of the rows of pixels. */
  readonly pixelsOffset: number
  readonly operationNames: readonly string[]
  /** In a slot, of each operation. They share bytes: an output is there until a later step needs its place. */
  readonly outputs: readonly ValueLayout[]
}

export interface PlanOptions {
  /** 1 or more */
  readonly slots: number
  /** 1 or more; without it, as many as keep a batch's memory and time moderate. */
  readonly maxRows?: number
}

/** Below lies what AssemblyScript reserves: its memoryBase. */
const FIRST_ADDRESS = 1024
/** What 32-bit addresses reach. */
const MAX_ARENA_BYTES = 2 ** 32
/** Rows of a batch share the weights' way through the caches; more than this gain nothing and wait longer. */
const DEFAULT_MAX_ROWS = 64
const DEFAULT_SLOT_BYTES = 2 ** 25
/** About 0.1 s of one core where wasm serves. */
const DEFAULT_WORK = 2 ** 28
/** Of all check vectors, which each worker replays before the model is ready: about a minute of such a core. */
const MAX_CHECK_WORK = 2 ** 37
/**
 * What a byte of an output counts there, since all outputs are gathered and hashed: eight word operations are 3 ns of
 * such a core, SHA-256 takes 0.6 ns a byte (1.9 ns on a CPU without instructions for it), and gathering up to 2.4 ns.
 */
const HASHED_BYTE_WORK = 8

/** Where a step of a member lies. */
export function stepAddress(plan: Plan, member: number, step: number): number {
  return plan.stepsAddress + STEP_BYTES * (member * plan.stepsPerMember + step)
}

/**
 * @throws MODEL_TOO_LARGE where 32-bit addresses or sums do not reach, or the check vectors take too long
 * @throws MODEL_UNSUPPORTED naming the operation whose floats may leave the range of float32
 */
export function planModel(model: Model, options: PlanOptions): Plan {
  return layOut(model, options).plan
}

/**
 * Repacks the weights and writes all steps: done once, by the thread that loads the model.
 *
 * @param plan of this model
 * @param arena new, so all zero; plan.arenaBytes or more
 */
export function fillArena(model: Model, plan: Plan, arena: SharedArrayBuffer): void {
  const { parameters, steps } = layOut(model, plan)
  const view = new DataView(arena)
  for (const { address, bytes, copies, fill } of parameters.flatMap(blocksOf)) {
    for (let copy = 0; copy < copies; copy++) fill(new Uint8Array(arena, address + copy * bytes, bytes), copy)
  }
  for (let member = 0; member < plan.members; member++) {
    for (const [index, step] of steps(member).entries())
      writeStep(view, stepAddress(plan, member, index), step)
  }
}

interface ArenaLayout {
  readonly plan: Plan
  /** Of each operation. */
  readonly parameters: readonly Parameters[]
  /** Of a member, in order. */
  readonly steps: (member: number) => readonly Step[]
}

/** steps | weights | slots */
function layOut(model: Model, { slots, maxRows }: PlanOptions): ArenaLayout {
  const graph = inferValues(model.input, model.operations)
  checkMagnitudes(model, graph)
  const { operations, members } = model
  const one = layOutSlot(operations, graph.values, 1)
  const stepsPerMember = operations.length + (one.image === null ? 0 : 1)
  const weightsAddress = alignUp(FIRST_ADDRESS + STEP_BYTES * stepsPerMember * members)
  const { parameters, end } = layOutAllParameters(model, one, weightsAddress)

  const work = stepsOf(operations, one, parameters, 0).reduce((sum, step) => sum + workOf(step), 0)
  const hashed = one.outputs.reduce((sum, output) => sum + gatheredBytes(output), 0)
  if ((work + HASHED_BYTE_WORK * hashed) * model.check.rows * members > MAX_CHECK_WORK) {
    throw new XnordError('MODEL_TOO_LARGE', 'the check vectors take more than 2^37 word operations')
  }
  const rows = maxRows ?? defaultRows(one.bytes, work)
  const slot = layOutSlot(operations, graph.values, rows)
  const arenaBytes = end + slots * slot.bytes
  if (arenaBytes > MAX_ARENA_BYTES) {
    throw new XnordError(
      'MODEL_TOO_LARGE',
      `${slots} slots of ${rows} rows need an arena of ${arenaBytes} bytes`,
    )
  }
  const plan: Plan = {
    arenaBytes,
    slots,
    maxRows: rows,
    rowBytes: slot.pixels.row,
    members,
    classes: graph.values.get(LOGITS)!.channels,
    wordOperations: graph.wordOperations,
    weightBytes: parameters.reduce(
      (sum, { weights }) => sum + (weights?.bytes ?? 0) * (weights?.copies ?? 0),
      0,
    ),
    parameterBytes: end - weightsAddress,
    slotBytes: slot.bytes,
    slotsAddress: end,
    stepsAddress: FIRST_ADDRESS,
    stepsPerMember,
    firstOperation: slot.image === null ? 0 : 1,
    pixelsOffset: slot.pixels.offset,
    operationNames: operations.map(({ name }) => name),
    outputs: slot.outputs,
  }
  return { plan, parameters, steps: member => stepsOf(operations, slot, parameters, member) }
}

/** The strides do not depend on the rows, so neither do the weights. */
function layOutAllParameters(model: Model, slot: SlotLayout, address: number) {
  let end = address
  const parameters = model.operations.map(operation => {
    const laidOut = layOutParameters(model, operation, sourceOf(operation, model.operations, slot), end)
    end = laidOut.end
    return laidOut.parameters
  })
  return { parameters, end }
}

function stepsOf(
  operations: readonly Operation[],
  slot: SlotLayout,
  parameters: readonly Parameters[],
  member: number,
): readonly Step[] {
  const steps = operations.map((operation, index) => {
    const input = sourceOf(operation, operations, slot)
    const add = isWeighted(operation) ? operation.add : null
    const addend = add === null ? null : outputOf(add, operations, slot)
    return stepOf(operation, input, slot.outputs[index], addend, parameters[index], member)
  })
  return slot.image === null ? steps : [imageStep(slot.pixels, slot.image), ...steps]
}

function defaultRows(slotBytes: number, work: number): number {
  const rows = Math.min(
    DEFAULT_MAX_ROWS,
    Math.floor(DEFAULT_SLOT_BYTES / slotBytes),
    Math.floor(DEFAULT_WORK / work),
  )
  return Math.max(1, rows)
}
