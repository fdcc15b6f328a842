/** Cases of the kernels: steps and forward passes as the engine plans them, with results by the reference. */

import type { ModelContent } from '../../src/engine/format.ts'
import { isWeighted, type Operation } from '../../src/engine/graph.ts'
import { type Step, type StepField, stepFields, stepKinds } from '../../src/engine/kernels/step.ts'
import { fillArena, type Plan, planModel, stepAddress } from '../../src/engine/plan.ts'
import type { Random } from '../random-model.ts'
import { forward, type Value } from '../reference.ts'
import type { Case, CaseBuffer, Place } from './case-file.ts'
import type { KnownBytes } from './known-bytes.ts'
import { addendBytes, inputBytes, outputBytes, outputCorner, type Strides } from './step-memory.ts'

/** Of weights and tables. */
const ALIGNMENT = 64

/**
 * Every step of a model alone, then its whole forward pass as one call, for one of its members.
 *
 * @param pixels of all rows
 */
export function casesOf(
  label: string,
  model: ModelContent,
  pixels: Uint8Array,
  random: Random,
): readonly Case[] {
  const { height, width, channels } = model.input
  const rows = pixels.length / (height * width * channels)
  const planned = planForMember(model, rows, random)
  const { plan, steps } = planned
  const results = Array.from({ length: rows }, (_, row) =>
    forward(model, pixels.subarray(row * plan.rowBytes, (row + 1) * plan.rowBytes), planned.member),
  )
  const value = (name: string) => results.map(values => values.get(name)!)
  const cases = steps.map((step, index) => {
    const operation = index < plan.firstOperation ? null : model.operations[index - plan.firstOperation]
    return stepCase(`${label}, step ${index}: ${describe(operation)}`, planned, step, operation, value)
  })
  return [...cases, forwardCase(`${label}, all ${steps.length} steps`, planned, pixels, value('logits'))]
}

interface Planned {
  readonly model: ModelContent
  readonly member: number
  readonly plan: Plan
  readonly arena: Uint8Array
  readonly steps: readonly Step[]
}

function planForMember(model: ModelContent, rows: number, random: Random): Planned {
  const plan = planModel({ ...model, digest: '' }, { slots: 1, maxRows: rows + random.integer(0, 2) })
  const arena = new SharedArrayBuffer(plan.arenaBytes)
  fillArena({ ...model, digest: '' }, plan, arena)
  const member = random.integer(0, model.members - 1)
  const view = new DataView(arena)
  const steps = Array.from({ length: plan.stepsPerMember }, (_, index) => {
    const address = stepAddress(plan, member, index)
    const fields = stepFields.map((field, i) => [field, view.getUint32(address + 4 * i, true)])
    return Object.fromEntries(fields) as Step
  })
  return { model, member, plan, arena: new Uint8Array(arena), steps }
}

/** @param operation null where the step copies the image */
function stepCase(
  label: string,
  { model, plan, arena, steps }: Planned,
  step: Step,
  operation: Operation | null,
  value: (name: string) => readonly Value[],
): Case {
  const { buffers, places, add } = collector()
  const padding = operation?.op === 'conv2d' ? operation.padding : 0
  const source = operation === null ? 'image' : operation.input
  const input = inputBytes(step, value(source), stridesOf(source, padding, plan, steps, model), padding)
  add('input', input, 'input', alignmentOf(value(source)[0]))
  const result = value(operation === null ? 'image' : operation.name)
  add('output', outputBytes(step, result), 'output', alignmentOf(result[0]), outputCorner(step))
  if (operation !== null && isWeighted(operation) && operation.add !== null) {
    add('addend', addendBytes(step, value(operation.add)), 'input', ALIGNMENT)
  }
  for (const [field, size] of parameterSizes(step)) {
    const bytes = arena.slice(step[field], step[field] + size)
    const buffer = { name: field, size, alignment: ALIGNMENT, kind: 'input', after: [] } as const
    buffers.push({ ...buffer, before: [{ offset: 0, bytes }] })
    places.push({ step: 0, field, buffer: buffers.length - 1, offset: 0 })
  }
  return { label, rows: result.length, steps: [step], buffers, places }
}

/** All in one slot, where values share bytes; of the results only the logits are left at the end. */
function forwardCase(label: string, planned: Planned, pixels: Uint8Array, logits: readonly Value[]): Case {
  const { plan, arena, steps } = planned
  const last = steps[steps.length - 1]
  const constants = arena.slice(0, plan.slotsAddress)
  const after = outputBytes(last, logits)
    .pieces()
    .map(({ offset, bytes }) => ({ offset: last.output + offset, bytes }))
  const parameters = { name: 'parameters', size: constants.length, alignment: ALIGNMENT, after: [] }
  const slot = { name: 'slot', size: plan.slotBytes, alignment: ALIGNMENT, after }
  const places = steps.flatMap((step, index): readonly Place[] => [
    ...(['input', 'output', 'addend'] as const)
      .filter(field => field !== 'addend' || step.addend !== 0)
      .map(field => ({ step: index, field, buffer: 1, offset: step[field] })),
    ...parameterSizes(step).map(([field]) => ({ step: index, field, buffer: 0, offset: step[field] })),
  ])
  return {
    label,
    rows: logits.length,
    steps,
    buffers: [
      { ...parameters, kind: 'input', before: [{ offset: 0, bytes: constants }] },
      { ...slot, kind: 'slot', before: [{ offset: plan.pixelsOffset, bytes: pixels }] },
    ],
    places,
  }
}

/** What lies at the addresses that a step of this kind uses, in bytes. */
function parameterSizes(step: Step): readonly (readonly [StepField, number])[] {
  const { kind, floats, masked, planes, lines, run, channels } = step
  const lanes = 16 * Math.ceil(channels / 16)
  const table = 4 * lanes
  const ending: (readonly [StepField, number])[] = floats
    ? [
        ['scales', table],
        ['biases', table],
      ]
    : [['limits', table]]
  switch (kind) {
    case stepKinds.pixels:
    case stepKinds.bits: {
      const tap = kind === stepKinds.bits ? 8 * (1 + masked) : 4
      if (floats) ending.push(['totals', table])
      return [['weights', planes * lines * run * lanes * tap], ...ending]
    }
    case stepKinds.linear:
      return [['weights', lines * run * table], ...ending]
    case stepKinds.sign:
      return ending
    default:
      return []
  }
}

/** The image lies twice where operations pad it: as it came, and with a border. */
function stridesOf(
  source: string,
  padding: number,
  plan: Plan,
  steps: readonly Step[],
  { input, operations }: ModelContent,
): Strides {
  if (source !== 'image') return plan.outputs[operations.findIndex(({ name }) => name === source)]
  if (padding === 0) return { row: plan.rowBytes, line: input.width * input.channels, pixel: input.channels }
  const copy = steps[0]
  return { row: copy.outputRow, line: copy.outputLine, pixel: copy.outputPixel }
}

function alignmentOf({ type, channels }: Value): number {
  if (type === 'floats') return ALIGNMENT
  if (type === 'pixels') return 1
  return channels <= 16 ? 2 : channels <= 32 ? 4 : 8
}

function collector() {
  const buffers: CaseBuffer[] = []
  const places: Place[] = []
  const add = (
    field: StepField,
    bytes: KnownBytes,
    kind: 'input' | 'output',
    alignment: number,
    offset = 0,
  ) => {
    const pieces = bytes.pieces()
    const [before, after] = kind === 'input' ? [pieces, []] : [[], pieces]
    places.push({ step: 0, field, buffer: buffers.length, offset })
    buffers.push({ name: field, size: bytes.size, alignment, kind, before, after })
  }
  return { buffers, places, add }
}

function describe(operation: Operation | null): string {
  if (operation === null) return 'image'
  const { name: _, ...attributes } = operation
  return Object.entries(attributes)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ')
}
