/** The operations that a model may contain: their attributes, and the shapes, types and costs that follow. */

import { XnordError } from '../errors.ts'

/** The shape of the value `image`, and how an image of another size is brought to it. */
export interface InputSpec {
  readonly height: number
  readonly width: number
  readonly channels: 1 | 3
  readonly resize: 'stretch' | 'contain' | 'cover'
}

export type WeightKind = 'binary' | 'ternary' | 'shift'

interface OperationBase {
  readonly name: string
  /** `image`, or the name of an earlier operation. */
  readonly input: string
}

interface WeightedBase extends OperationBase {
  readonly out: number
  readonly weights: WeightKind
  /** Plane i counts 2^shifts[i]-fold; [0] unless the weights are `shift`. */
  readonly shifts: readonly number[]
  readonly output: 'bits' | 'floats'
  /** An earlier value of floats, of the same shape, that is added to the output; with `floats` only. */
  readonly add: string | null
}

export interface Conv2d extends WeightedBase {
  readonly op: 'conv2d'
  readonly kernel: number
  readonly stride: number
  readonly padding: number
  readonly pool: 1 | 2
}

export interface Linear extends WeightedBase {
  readonly op: 'linear'
}

export interface Sign extends OperationBase {
  readonly op: 'sign'
}

export interface AveragePool extends OperationBase {
  readonly op: 'average_pool'
  readonly size: number
}

/** One fused step, with every default filled in. */
export type Operation = Conv2d | Linear | Sign | AveragePool

/** A value that flows between operations: [height, width, channels] of one element type. */
export interface ValueType {
  readonly type: 'pixels' | 'bits' | 'floats'
  readonly height: number
  readonly width: number
  readonly channels: number
}

/** A fused step with weights. */
export type Weighted = Conv2d | Linear

export const IMAGE = 'image'
export const LOGITS = 'logits'
export const MAX_OPERATIONS = 256
export const MAX_OUT = 4096
const MAX_VALUE_ELEMENTS = 2 ** 24
const MAX_WORD_OPERATIONS = 2 ** 32

/** The largest |sum| that becomes a float: up to here float32 holds every integer. */
const MAX_FLOAT_SUM = 2 ** 24

/** The largest magnitude that an element of a value enters a sum with. */
const LARGEST_PIXEL = 128
const LARGEST_BIT = 1

/** A graph's values by name, and what a row costs. */
export interface GraphValues {
  /** `image` and every operation's output, in order. */
  readonly values: ReadonlyMap<string, ValueType>
  /** Of a row and member: 64-bit words of weights that its sums read; a pixel counts as eight bits. */
  readonly wordOperations: number
}

export function isWeighted(operation: Operation): operation is Weighted {
  return operation.op === 'conv2d' || operation.op === 'linear'
}

/** The weights of one output channel. */
export function tapsOf(operation: Weighted, input: ValueType): number {
  return operation.op === 'conv2d'
    ? operation.kernel ** 2 * input.channels
    : input.height * input.width * input.channels
}

/** Elements in one row of a value. */
export function elementsOf({ height, width, channels }: ValueType): number {
  return height * width * channels
}

/**
 * Follows the graph from the image on. The attributes by themselves are taken to be in their ranges.
 *
 * @throws MODEL_GRAPH_INVALID, MODEL_TOO_LARGE, with the path of the first attribute that is wrong
 */
export function inferValues(input: InputSpec, graph: readonly Operation[]): GraphValues {
  const { height, width, channels } = input
  const values = new Map<string, ValueType>([[IMAGE, { type: 'pixels', height, width, channels }]])
  let wordOperations = 0
  for (const [index, operation] of graph.entries()) {
    const path = `graph[${index}]`
    if (values.has(operation.name)) fail(`${path}.name ${JSON.stringify(operation.name)} is taken`)
    const source = values.get(operation.input)
    if (!source) fail(`${path}.input ${JSON.stringify(operation.input)} names no earlier value`)
    const value = outputOf(operation, source, path)
    if (elementsOf(value) > MAX_VALUE_ELEMENTS) tooLarge(`${path} gives more than 2^24 elements`)
    if (isWeighted(operation)) {
      checkSums(operation, source, path)
      checkAddend(operation, value, values, path)
      wordOperations += costOf(operation, source, value)
    }
    values.set(operation.name, value)
  }
  if (wordOperations > MAX_WORD_OPERATIONS) tooLarge('a row and member takes more than 2^32 word operations')
  checkLogits(graph, values)
  return { values, wordOperations }
}

function fail(detail: string): never {
  throw new XnordError('MODEL_GRAPH_INVALID', detail)
}

function tooLarge(detail: string): never {
  throw new XnordError('MODEL_TOO_LARGE', detail)
}

function outputOf(operation: Operation, source: ValueType, path: string): ValueType {
  const wrongInput = () => fail(`${path}.input: ${operation.op} does not take ${source.type}`)
  switch (operation.op) {
    case 'conv2d': {
      if (source.type === 'floats') return wrongInput()
      const { out, kernel, stride, padding, pool } = operation
      const positions = (size: number) => Math.floor((size + 2 * padding - kernel) / stride) + 1
      const height = Math.floor(positions(source.height) / pool)
      const width = Math.floor(positions(source.width) / pool)
      if (height < 1 || width < 1) fail(`${path} leaves nothing of ${source.height} × ${source.width}`)
      return { type: operation.output, height, width, channels: out }
    }
    case 'linear':
      return { type: operation.output, height: 1, width: 1, channels: operation.out }
    case 'sign':
      return source.type === 'floats' ? { ...source, type: 'bits' } : wrongInput()
    case 'average_pool': {
      if (source.type !== 'floats') return wrongInput()
      const { size } = operation
      if (source.height % size !== 0 || source.width % size !== 0) {
        fail(`${path}.size ${size} does not divide ${source.height} × ${source.width}`)
      }
      return { ...source, height: source.height / size, width: source.width / size }
    }
  }
}

/** Integers that become floats must be floats already. */
function checkSums(operation: Weighted, source: ValueType, path: string): void {
  if (source.type === 'floats') {
    if (operation.output === 'bits') fail(`${path}.output: sums of floats give floats, which sign makes bits`)
    return
  }
  if (operation.output === 'bits') return
  const largest = source.type === 'pixels' ? LARGEST_PIXEL : LARGEST_BIT
  // The planes of a tap are disjoint, so that the largest of them bounds it.
  const bound = tapsOf(operation, source) * largest * 2 ** Math.max(...operation.shifts)
  if (bound > MAX_FLOAT_SUM) fail(`${path}: its sums may leave ±2^24, so float32 cannot hold them`)
}

function checkAddend(
  operation: Weighted,
  value: ValueType,
  values: ReadonlyMap<string, ValueType>,
  path: string,
): void {
  if (operation.add === null) return
  const addend = values.get(operation.add)
  if (!addend) fail(`${path}.add ${JSON.stringify(operation.add)} names no earlier value`)
  const same =
    addend.type === 'floats' &&
    addend.height === value.height &&
    addend.width === value.width &&
    addend.channels === value.channels
  if (!same) fail(`${path}.add ${JSON.stringify(operation.add)} is not floats of the output's shape`)
}

function costOf(operation: Weighted, source: ValueType, value: ValueType): number {
  const sums = elementsOf(value) * (operation.op === 'conv2d' ? operation.pool ** 2 : 1)
  const planes = operation.weights === 'binary' ? 1 : 2 * operation.shifts.length
  const words = Math.ceil(tapsOf(operation, source) / 64)
  return sums * planes * words * (source.type === 'pixels' ? 8 : 1)
}

function checkLogits(graph: readonly Operation[], values: ReadonlyMap<string, ValueType>): void {
  const path = `graph[${graph.length - 1}]`
  const last = graph[graph.length - 1]
  if (last.name !== LOGITS) fail(`${path}.name: the last operation is called ${LOGITS}`)
  const { type, height, width } = values.get(LOGITS)!
  if (type !== 'floats' || height !== 1 || width !== 1)
    fail(`${path}: ${LOGITS} are floats, one for each class`)
}
