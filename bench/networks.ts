/** The networks of the benchmark, with random weights: what they compute is worthless, how long it takes is not. */

import { tapBytes } from '../src/engine/bits.ts'
import type { Tensor } from '../src/engine/format/safetensors.ts'
import type { ModelContent } from '../src/engine/format.ts'
import {
  type InputSpec,
  inferValues,
  isWeighted,
  LOGITS,
  type Operation,
  tapsOf,
  type ValueType,
  type Weighted,
} from '../src/engine/graph.ts'
import { conv2d, linear, Random } from '../test/random-model.ts'

/** A graph without weights. */
export interface Network {
  readonly name: string
  readonly input: InputSpec
  readonly operations: readonly Operation[]
}

/** A model but for the check vectors: these only a run can give. */
export type NetworkModel = Omit<ModelContent, 'check'>

const classes = 10
const digit: InputSpec = { height: 28, width: 28, channels: 1, resize: 'stretch' }
const photograph: InputSpec = { height: 32, width: 32, channels: 3, resize: 'stretch' }

export const lenet: Network = {
  name: 'LeNet',
  input: digit,
  operations: [
    conv2d({ name: 'conv1', input: 'image', out: 32, kernel: 5, pool: 2 }),
    conv2d({ name: 'conv2', input: 'conv1', out: 64, kernel: 5, pool: 2 }),
    linear({ name: 'linear1', input: 'conv2', out: 512 }),
    logitsOf('linear1'),
  ],
}

export const perceptron: Network = {
  name: 'perceptron',
  input: digit,
  operations: [
    linear({ name: 'linear1', input: 'image', out: 1024 }),
    linear({ name: 'linear2', input: 'linear1', out: 1024 }),
    linear({ name: 'linear3', input: 'linear2', out: 1024 }),
    logitsOf('linear3'),
  ],
}

export const vggSmall: Network = {
  name: 'VGG-Small',
  input: photograph,
  operations: [
    ...[128, 128, 256, 256, 512, 512].map((out, index) =>
      conv2d({
        name: `conv${index + 1}`,
        input: index === 0 ? 'image' : `conv${index}`,
        out,
        kernel: 3,
        padding: 1,
        pool: index % 2 === 0 ? 1 : 2,
      }),
    ),
    logitsOf('conv6'),
  ],
}

export const resnet18: Network = { name: 'ResNet-18', input: photograph, operations: resnetOperations() }

export const networks: readonly Network[] = [vggSmall, resnet18, lenet, perceptron]

/** The graph with all of its weights of a kind. */
export function withWeights(network: Network, weights: 'binary' | 'ternary'): Network {
  const operations = network.operations.map(operation =>
    isWeighted(operation) ? { ...operation, weights } : operation,
  )
  return { ...network, operations }
}

/** One member with random weights, and with thresholds so that about half of the bits are 1. */
export function randomWeights(network: Network, seed: number): NetworkModel {
  const { input, operations } = network
  const random = new Random(seed)
  const { values } = inferValues(input, operations)
  const tensors = operations.flatMap(operation => tensorsOf(operation, values.get(operation.input)!, random))
  return {
    name: network.name.toLowerCase(),
    input,
    labels: Array.from({ length: values.get(LOGITS)!.channels }, (_, index) => `class ${index}`),
    members: 1,
    defaultMembers: 1,
    operations,
    calibration: { temperature: [1], split: '', n: 0 },
    baseline: null,
    provenance: { weights: 'random', seed },
    tensors: new Map(tensors),
  }
}

function logitsOf(input: string): Operation {
  return linear({ name: LOGITS, input, out: classes, output: 'floats' })
}

/** A shortcut around every convolution; between the stages a mean and a binary 1 × 1 convolution stand in it. */
function resnetOperations(): readonly Operation[] {
  const floats = { output: 'floats' } as const
  const operations: Operation[] = [
    conv2d({ name: 'stem', input: 'image', out: 64, kernel: 3, padding: 1, ...floats }),
  ]
  let value = 'stem'
  for (const [stage, out] of [64, 128, 256, 512].entries()) {
    for (let block = 1; block <= 4; block++) {
      const name = `stage${stage + 1}.${block}`
      const halves = stage > 0 && block === 1
      if (halves) {
        operations.push(
          { op: 'average_pool', name: `${name}.mean`, input: value, size: 2 },
          { op: 'sign', name: `${name}.mean.bits`, input: `${name}.mean` },
          conv2d({ name: `${name}.shortcut`, input: `${name}.mean.bits`, out, ...floats }),
        )
      }
      operations.push(
        { op: 'sign', name: `${name}.bits`, input: value },
        conv2d({
          name,
          input: `${name}.bits`,
          out,
          kernel: 3,
          stride: halves ? 2 : 1,
          padding: 1,
          ...floats,
          add: halves ? `${name}.shortcut` : value,
        }),
      )
      value = name
    }
  }
  operations.push({ op: 'average_pool', name: 'mean', input: value, size: 4 }, logitsOf('mean'))
  return operations
}

/** Standard deviation of a byte less 128, and of a bit. */
const deviation = { pixels: 74, bits: 1, floats: 1 } as const

/** The share of ternary weights that are not 0. */
const density = 2 / 3

function tensorsOf(operation: Operation, source: ValueType, random: Random): readonly [string, Tensor][] {
  const { name } = operation
  const floats = (length: number, value: () => number): Tensor => ({
    dtype: 'F32',
    shape: [1, length],
    data: Float32Array.from({ length }, value),
  })
  /** −½ … ½ */
  const around0 = () => random.uniform() - 0.5
  if (operation.op === 'average_pool') return []
  if (operation.op === 'sign') return [[`${name}.threshold`, floats(source.channels, around0)]]
  const { out, output, weights } = operation
  const planes = planesOf(operation, tapsOf(operation, source), random)
  const unmasked = tapsOf(operation, source) * (weights === 'binary' ? 1 : density)
  const spread = deviation[source.type] * Math.sqrt(unmasked)
  if (output === 'floats') {
    return [
      ...planes,
      [`${name}.scale`, floats(out, () => 1 / spread)],
      [`${name}.bias`, floats(out, around0)],
    ]
  }
  // Of four sums, the largest lies about one deviation higher.
  const middle = operation.op === 'conv2d' && operation.pool === 2 ? 1 : 0
  const data = Int32Array.from({ length: out }, () => Math.round((middle + around0()) * spread))
  return [...planes, [`${name}.threshold`, { dtype: 'I32', shape: [1, out], data }]]
}

function planesOf({ name, out, weights }: Weighted, taps: number, random: Random): [string, Tensor][] {
  const bytes = tapBytes(taps)
  const shape = [1, 1, out, bytes]
  const sign = new Uint8Array(out * bytes)
  const mask = new Uint8Array(out * bytes)
  for (let channel = 0; channel < out; channel++) {
    for (let tap = 0; tap < taps; tap++) {
      if (weights === 'ternary' && !random.chance(density)) continue
      const index = channel * bytes + (tap >> 3)
      const bit = 1 << (tap & 7)
      mask[index] |= bit
      if (random.chance(0.5)) sign[index] |= bit
    }
  }
  const planes: [string, Tensor][] = [[`${name}.sign`, { dtype: 'U8', shape, data: sign }]]
  if (weights === 'ternary') planes.push([`${name}.mask`, { dtype: 'U8', shape, data: mask }])
  return planes
}
