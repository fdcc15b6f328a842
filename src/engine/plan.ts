/** Where a model's weights, steps and values lie in the arena: decided once, when it is loaded. */

import { XnordError } from '../errors.ts'
import type { Model } from './format.ts'
import {
  IMAGE,
  inferValues,
  isWeighted,
  LOGITS,
  type Operation,
  type ValueType,
  type Weighted,
} from './graph.ts'
import { SCRATCH_BYTES, STEP_BYTES, type Step, stepKinds, writeStep } from './kernels/step.ts'
import { addressOf, blocksOf, layOutParameters, type Parameters } from './parameters.ts'
import { alignUp, cornerOf, layOutValues, type ValueLayout } from './values.ts'

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
  /** Repacked weights of all members, with thresholds, scales and biases. */
  readonly weightBytes: number
  readonly slotBytes: number
  /** Address of the first slot. */
  readonly slotsAddress: number
  /** Address of the step that widens the pixels; a step for each operation of each member follows. */
  readonly stepsAddress: number
  /** Offset in a slot of the rows of pixels. */
  readonly pixelsOffset: number
  readonly operationNames: readonly string[]
  /** In a slot, of each operation. */
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
const DEFAULT_VALUE_BYTES = 2 ** 25
/** About 0.1 s of one core. */
const DEFAULT_WORD_OPERATIONS = 2 ** 27
/** Of all check vectors, which each worker replays before the model is ready: about a minute and a half of one core. */
const MAX_CHECK_WORD_OPERATIONS = 2 ** 37

/** Where the step of an operation of a member lies. */
export function stepAddress(plan: Plan, member: number, operation: number): number {
  return plan.stepsAddress + STEP_BYTES * (1 + member * plan.operationNames.length + operation)
}

/**
 * @throws MODEL_UNSUPPORTED naming the operation that this engine cannot run
 * @throws MODEL_TOO_LARGE where 32-bit addresses do not reach, or the check vectors take too long
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
  const { operations, parameters, input, values } = layOut(model, plan)
  const view = new DataView(arena)
  writeStep(view, plan.stepsAddress, widenStep(plan, input))
  for (const [index, operation] of operations.entries()) {
    for (const { address, bytes, copies, fill } of blocksOf(parameters[index])) {
      for (let copy = 0; copy < copies; copy++)
        fill(new Uint8Array(arena, address + copy * bytes, bytes), copy)
    }
    for (let member = 0; member < plan.members; member++) {
      const step = stepOf(
        operation,
        values.get(operation.input)!,
        plan.outputs[index],
        parameters[index],
        member,
      )
      writeStep(view, stepAddress(plan, member, index), step)
    }
  }
}

interface ArenaLayout {
  readonly plan: Plan
  readonly operations: readonly Weighted[]
  /** Of each operation. */
  readonly parameters: readonly Parameters[]
  /** The pixels, widened. */
  readonly input: ValueLayout
  readonly values: ReadonlyMap<string, ValueLayout>
}

/** steps | weights | slots, a slot being scratch | pixels | values */
function layOut(model: Model, { slots, maxRows }: PlanOptions): ArenaLayout {
  const graph = inferValues(model.input, model.operations)
  const operations = model.operations.map(operation => supported(operation, graph.values))
  if (graph.wordOperations * model.check.rows * model.members > MAX_CHECK_WORD_OPERATIONS) {
    throw new XnordError('MODEL_TOO_LARGE', 'the check vectors take more than 2^37 word operations')
  }
  const { height, width, channels } = model.input
  const rowBytes = height * width * channels
  const rows = maxRows ?? defaultRows(model, graph.values, graph.wordOperations)
  const pixelsOffset = alignUp(SCRATCH_BYTES)
  const valuesOffset = alignUp(pixelsOffset + rows * rowBytes)
  const { layouts: values, end: slotBytes } = layOutValues(operations, graph.values, rows, valuesOffset)
  const stepsAddress = FIRST_ADDRESS
  const weightsAddress = alignUp(stepsAddress + STEP_BYTES * (1 + model.members * operations.length))
  let address = weightsAddress
  const parameters = operations.map(operation => {
    const { parameters, end } = layOutParameters(model, operation, values.get(operation.input)!, address)
    address = end
    return parameters
  })
  const arenaBytes = address + slots * slotBytes
  if (arenaBytes > MAX_ARENA_BYTES) {
    throw new XnordError(
      'MODEL_TOO_LARGE',
      `${slots} slots of ${rows} rows need an arena of ${arenaBytes} bytes`,
    )
  }
  const plan = {
    arenaBytes,
    slots,
    maxRows: rows,
    rowBytes,
    members: model.members,
    classes: values.get(LOGITS)!.channels,
    wordOperations: graph.wordOperations,
    weightBytes: address - weightsAddress,
    slotBytes,
    slotsAddress: address,
    stepsAddress,
    pixelsOffset,
    operationNames: operations.map(({ name }) => name),
    outputs: operations.map(({ name }) => values.get(name)!),
  }
  return { plan, operations, parameters, input: values.get(IMAGE)!, values }
}

function supported(operation: Operation, values: ReadonlyMap<string, ValueType>): Weighted {
  const refuse = (what: string): never => {
    throw new XnordError('MODEL_UNSUPPORTED', `${operation.name}: ${what} cannot be run by this engine yet`)
  }
  if (!isWeighted(operation)) return refuse(operation.op)
  if (operation.weights === 'shift') refuse('shift weights')
  if (operation.add !== null) refuse('add')
  if (values.get(operation.input)!.type === 'floats') refuse('linear on floats')
  return operation
}

function defaultRows(
  { operations }: Model,
  values: ReadonlyMap<string, ValueType>,
  wordOperations: number,
): number {
  const rowBytes = layOutValues(operations, values, 1, 0).end
  const rows = Math.min(
    DEFAULT_MAX_ROWS,
    Math.floor(DEFAULT_VALUE_BYTES / rowBytes),
    Math.floor(DEFAULT_WORD_OPERATIONS / wordOperations),
  )
  return Math.max(1, rows)
}

const emptyStep: Step = {
  kind: 0,
  masked: 0,
  floats: 0,
  pool: 1,
  input: 0,
  inputRow: 0,
  inputLine: 0,
  inputStepX: 0,
  inputStepY: 0,
  lines: 0,
  run: 0,
  output: 0,
  outputRow: 0,
  outputLine: 0,
  outputPixel: 0,
  height: 0,
  width: 0,
  channels: 0,
  weights: 0,
  limits: 0,
  totals: 0,
  scales: 0,
  biases: 0,
}

function widenStep(plan: Plan, image: ValueLayout): Step {
  return {
    ...emptyStep,
    ...outputFields(image),
    kind: stepKinds.widen,
    input: plan.pixelsOffset,
    inputRow: plan.rowBytes,
    inputLine: image.width * image.channels,
  }
}

function stepOf(
  operation: Weighted,
  input: ValueLayout,
  output: ValueLayout,
  parameters: Parameters,
  member: number,
): Step {
  const { stride, padding, pool } = operation.op === 'conv2d' ? operation : { stride: 1, padding: 0, pool: 1 }
  return {
    ...outputFields(output),
    kind: input.type === 'pixels' ? stepKinds.pixels : stepKinds.bits,
    masked: operation.weights === 'ternary' ? 1 : 0,
    floats: operation.output === 'floats' ? 1 : 0,
    pool,
    input: cornerOf(input, padding),
    inputRow: input.row,
    inputLine: input.line,
    inputStepX: stride * input.pixel,
    inputStepY: stride * input.line,
    lines: parameters.lines,
    run: parameters.run,
    weights: addressOf(parameters.weights, member),
    limits: addressOf(parameters.limits, member),
    totals: addressOf(parameters.totals, member),
    scales: addressOf(parameters.scales, member),
    biases: addressOf(parameters.biases, member),
  }
}

function outputFields(output: ValueLayout) {
  return {
    output: cornerOf(output, 0),
    outputRow: output.row,
    outputLine: output.line,
    outputPixel: output.pixel,
    height: output.height,
    width: output.width,
    channels: output.channels,
  }
}
