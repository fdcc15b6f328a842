/** The JSON that describes a model, under the key `xnord` of the file's metadata. */

import {
  type Conv2d,
  type InputSpec,
  inferValues,
  isWeighted,
  type Linear,
  MAX_OPERATIONS,
  MAX_OUT,
  type Operation,
} from '../graph.ts'
import { fail, inside, type Place, readChoice, readInteger, readList, readObject, readText } from './place.ts'
import { isRecord } from './strict-json.ts'

export interface Calibration {
  /** Entry k − 1 divides the logits when k members answer; > 0. */
  readonly temperature: readonly number[]
  /** What they were fitted on, and how many images that was. */
  readonly split: string
  readonly n: number
}

/** What a model says of itself, checked. */
export interface Metadata {
  readonly name: string
  readonly input: InputSpec
  /** One for each class, unique. */
  readonly labels: readonly string[]
  /** K = 1..64 */
  readonly members: number
  /** 1..K */
  readonly defaultMembers: number
  readonly operations: readonly Operation[]
  readonly calibration: Calibration
  /** The float twin's file, by the SHA-256 of its bytes, in lower-case hexadecimal. */
  readonly baseline: { readonly sha256: string } | null
  /** Never interpreted by the engine. */
  readonly provenance: Readonly<Record<string, unknown>>
}

const FORMAT = 'xnord/1'
const MAX_MEMBERS = 64
const MAX_LABEL_BYTES = 256
const MAX_SHIFT = 7
const MAX_IMAGE_SIDE = 1024

/**
 * The graph is checked as a whole, too: types, shapes and limits.
 *
 * @throws MODEL_HEADER_INVALID, MODEL_GRAPH_INVALID, MODEL_TOO_LARGE
 */
export function readMetadata(value: unknown): Metadata {
  const root: Place = { code: 'MODEL_HEADER_INVALID', path: '' }
  const fields = readObject(value, { ...root, path: 'xnord' }, [
    'format',
    'name',
    'input',
    'labels',
    'members',
    'defaultMembers',
    'graph',
    'calibration',
    'baseline',
    'provenance',
  ])
  const at = (key: string) => inside(root, key)
  readChoice(fields.format, at('format'), [FORMAT])
  const name = readText(fields.name, at('name'))
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/.test(name)) fail(at('name'), 'does not match [a-z0-9][a-z0-9._-]{0,63}')
  const input = readInput(fields.input, at('input'))
  const members = readInteger(fields.members, at('members'), 1, MAX_MEMBERS)
  const defaultMembers = readInteger(fields.defaultMembers, at('defaultMembers'), 1, members)
  const graph = readList(fields.graph, at('graph'), 1, MAX_OPERATIONS)
  const operations = graph.map((operation, index) =>
    readOperation(operation, { code: 'MODEL_GRAPH_INVALID', path: `graph[${index}]` }),
  )
  const classes = [...inferValues(input, operations).values.values()].at(-1)!.channels
  const labels = readLabels(fields.labels, at('labels'), classes)
  const calibration = readCalibration(fields.calibration, at('calibration'), members)
  const baseline = readBaseline(fields.baseline, at('baseline'))
  const { provenance } = fields
  if (!isRecord(provenance)) return fail(at('provenance'), 'is not an object')
  return {
    name,
    input,
    labels,
    members,
    defaultMembers,
    operations,
    calibration,
    baseline,
    provenance,
  }
}

/** The same JSON again, attributes at their default left out. */
export function writeMetadata(metadata: Metadata): unknown {
  const { name, input, labels, members, defaultMembers, calibration, baseline, provenance } = metadata
  const graph = metadata.operations.map(writeOperation)
  return {
    format: FORMAT,
    name,
    input,
    labels,
    members,
    defaultMembers,
    graph,
    calibration,
    baseline,
    provenance,
  }
}

function readInput(value: unknown, place: Place): InputSpec {
  const fields = readObject(value, place, ['height', 'width', 'channels', 'resize'])
  return {
    height: readInteger(fields.height, inside(place, 'height'), 1, MAX_IMAGE_SIDE),
    width: readInteger(fields.width, inside(place, 'width'), 1, MAX_IMAGE_SIDE),
    channels: readChoice(fields.channels, inside(place, 'channels'), [1, 3]),
    resize: readChoice(fields.resize, inside(place, 'resize'), ['stretch', 'contain', 'cover']),
  }
}

function readLabels(value: unknown, place: Place, classes: number): readonly string[] {
  const labels = readList(value, place, classes, classes).map((label, index) => {
    const text = readText(label, inside(place, index))
    if (Buffer.byteLength(text) > MAX_LABEL_BYTES) {
      fail(inside(place, index), `has more than ${MAX_LABEL_BYTES} bytes`)
    }
    return text
  })
  const seen = new Set<string>()
  for (const [index, label] of labels.entries()) {
    if (seen.has(label)) fail(inside(place, index), `${JSON.stringify(label)} is there twice`)
    seen.add(label)
  }
  return labels
}

function readCalibration(value: unknown, place: Place, members: number): Calibration {
  const fields = readObject(value, place, ['temperature', 'split', 'n'])
  const temperatures = inside(place, 'temperature')
  return {
    temperature: readList(fields.temperature, temperatures, members, members).map((entry, index) =>
      typeof entry === 'number' && entry > 0 && entry < Number.POSITIVE_INFINITY
        ? entry
        : fail(inside(temperatures, index), 'is not a number above 0'),
    ),
    split: readText(fields.split, inside(place, 'split')),
    n: readInteger(fields.n, inside(place, 'n'), 0, Number.MAX_SAFE_INTEGER),
  }
}

function readBaseline(value: unknown, place: Place): Metadata['baseline'] {
  if (value === null) return null
  const fields = readObject(value, place, ['sha256'])
  const sha256 = readText(fields.sha256, inside(place, 'sha256'))
  if (!/^[0-9a-f]{64}$/.test(sha256)) fail(inside(place, 'sha256'), 'is not 64 lower-case hexadecimal digits')
  return { sha256 }
}

const COMMON_KEYS = ['name', 'op', 'input']
const WEIGHTED_KEYS = [...COMMON_KEYS, 'out', 'weights']
const WEIGHTED_OPTIONS = ['shifts', 'output', 'add']

function readOperation(value: unknown, place: Place): Operation {
  if (!isRecord(value)) return fail(place, 'is not an object')
  const op = readChoice(value.op, inside(place, 'op'), ['conv2d', 'linear', 'sign', 'average_pool'])
  const fields = readObject(value, place, ...keysOf(op))
  const name = readText(fields.name, inside(place, 'name'))
  if (name === '') fail(inside(place, 'name'), 'is empty')
  const input = readText(fields.input, inside(place, 'input'))
  switch (op) {
    case 'conv2d':
      return { op, name, input, ...readWeighted(fields, place), ...readWindow(fields, place) }
    case 'linear':
      return { op, name, input, ...readWeighted(fields, place) }
    case 'sign':
      return { op, name, input }
    case 'average_pool':
      return { op, name, input, size: readInteger(fields.size, inside(place, 'size'), 1, MAX_IMAGE_SIDE) }
  }
}

function keysOf(op: Operation['op']): [required: readonly string[], optional?: readonly string[]] {
  switch (op) {
    case 'conv2d':
      return [
        [...WEIGHTED_KEYS, 'kernel'],
        [...WEIGHTED_OPTIONS, 'stride', 'padding', 'pool'],
      ]
    case 'linear':
      return [WEIGHTED_KEYS, WEIGHTED_OPTIONS]
    case 'sign':
      return [COMMON_KEYS]
    case 'average_pool':
      return [[...COMMON_KEYS, 'size']]
  }
}

type Fields = Readonly<Record<string, unknown>>

/** Only what is not there has its default; null is a wrong value. */
function orDefault(value: unknown, byDefault: unknown): unknown {
  return value === undefined ? byDefault : value
}

function readWeighted(
  fields: Fields,
  place: Place,
): Pick<Linear, 'out' | 'weights' | 'shifts' | 'output' | 'add'> {
  const out = readInteger(fields.out, inside(place, 'out'), 1, MAX_OUT)
  const weights = readChoice(fields.weights, inside(place, 'weights'), ['binary', 'ternary', 'shift'])
  const output = readChoice(orDefault(fields.output, 'bits'), inside(place, 'output'), ['bits', 'floats'])
  const shifts = readShifts(fields, weights, inside(place, 'shifts'))
  if (fields.add === undefined) return { out, weights, shifts, output, add: null }
  if (output === 'bits') fail(inside(place, 'add'), 'goes with floats only')
  return { out, weights, shifts, output, add: readText(fields.add, inside(place, 'add')) }
}

/** A factor common to all planes would be hidden here, so the first is 0: it goes into threshold or scale. */
function readShifts(fields: Fields, weights: Linear['weights'], place: Place): readonly number[] {
  if (weights !== 'shift') {
    if (fields.shifts !== undefined) fail(place, 'goes with shift weights only')
    return [0]
  }
  const shifts: number[] = []
  for (const [index, value] of readList(fields.shifts, place, 1, MAX_SHIFT + 1).entries()) {
    const low = index === 0 ? 0 : shifts[index - 1] + 1
    shifts.push(readInteger(value, inside(place, index), low, index === 0 ? 0 : MAX_SHIFT))
  }
  return shifts
}

function readWindow(fields: Fields, place: Place): Pick<Conv2d, 'kernel' | 'stride' | 'padding' | 'pool'> {
  const kernel = readInteger(fields.kernel, inside(place, 'kernel'), 1, 7)
  const stride = readInteger(orDefault(fields.stride, 1), inside(place, 'stride'), 1, 4)
  const padding = readInteger(orDefault(fields.padding, 0), inside(place, 'padding'), 0, kernel - 1)
  const pool = readChoice(orDefault(fields.pool, 1), inside(place, 'pool'), [1, 2])
  if (pool === 2 && fields.output === 'floats') fail(inside(place, 'pool'), 'goes with bits only')
  return { kernel, stride, padding, pool }
}

function writeOperation(operation: Operation): unknown {
  if (!isWeighted(operation)) return operation
  const { op, name, input, out, weights, shifts, output, add } = operation
  return {
    name,
    op,
    input,
    out,
    weights,
    ...(weights === 'shift' ? { shifts } : {}),
    ...(output === 'floats' ? { output } : {}),
    ...(add === null ? {} : { add }),
    ...(operation.op === 'conv2d' ? writeWindow(operation) : {}),
  }
}

function writeWindow({ kernel, stride, padding, pool }: Conv2d): Partial<Conv2d> {
  return {
    kernel,
    ...(stride === 1 ? {} : { stride }),
    ...(padding === 0 ? {} : { padding }),
    ...(pool === 1 ? {} : { pool }),
  }
}
