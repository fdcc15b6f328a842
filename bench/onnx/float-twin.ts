/** The float32 twin of a network: of the same shapes, and in the form that ONNX Runtime runs fastest. */

import {
  IMAGE,
  inferValues,
  LOGITS,
  type Operation,
  tapsOf,
  type ValueType,
  type Weighted,
} from '../../src/engine/graph.ts'
import { Random } from '../../test/random-model.ts'
import type { Network } from '../networks.ts'
import type { OnnxGraph, OnnxNode, OnnxTensor } from './encode.ts'

/** A node that reads the output of the one before it, and these inputs besides. */
interface Link {
  readonly op: string
  readonly inputs?: readonly string[]
  readonly attributes?: OnnxNode['attributes']
}

/** Root mean square of a byte less 128, where all bytes are as likely. */
const pixelDeviation = 74

/**
 * Batch norm is folded into weights and biases; a threshold becomes ReLU, the OR of bits a maximum, padding is 0. A
 * `sign` has no node of its own: what it reads ends with a ReLU, as in a ResNet, so that the runtime fuses
 * convolution, residual and ReLU. Weights are random by He's rule, so that values neither vanish nor overflow.
 *
 * @param batch the first axis: a number of rows, or a name where it is free
 */
export function floatTwin(network: Network, batch: number | string, seed: number): OnnxGraph {
  const { input, operations } = network
  const { values } = inferValues(input, operations)
  const random = new Random(seed)
  const nodes: OnnxNode[] = []
  const tensors: OnnxTensor[] = []
  /** By the name of a value, that of its twin: what a sign reads stands for what it gives. */
  const twins = new Map([[IMAGE, IMAGE]])
  for (const operation of operations) {
    const { name } = operation
    const source = twins.get(operation.input)!
    twins.set(name, operation.op === 'sign' ? source : name)
    if (operation.op === 'sign') continue
    const parameters =
      operation.op === 'average_pool' ? [] : randomParameters(operation, values.get(operation.input)!, random)
    tensors.push(...parameters)
    const links = linksOf(
      network,
      operation,
      parameters.map(tensor => tensor.name),
    )
    nodes.push(...chain(source, name, links))
  }
  return {
    nodes,
    inputs: [{ name: IMAGE, shape: [batch, input.channels, input.height, input.width] }],
    outputs: [{ name: LOGITS }],
    tensors,
  }
}

function linksOf(
  { operations }: Network,
  operation: Exclude<Operation, { op: 'sign' }>,
  parameters: readonly string[],
): readonly Link[] {
  if (operation.op === 'average_pool')
    return [{ op: 'AveragePool', attributes: window(operation.size, operation.size) }]
  const { name, output } = operation
  const links: Link[] = []
  if (operation.op === 'conv2d') {
    const { kernel, stride, padding } = operation
    const attributes = { ...window(kernel, stride), pads: Array.from({ length: 4 }, () => padding) }
    links.push({ op: 'Conv', inputs: parameters, attributes })
  } else {
    const source = operations.find(({ name }) => name === operation.input)
    if (source?.op !== 'linear') links.push({ op: 'Flatten' })
    links.push({ op: 'Gemm', inputs: parameters, attributes: { transB: 1 } })
  }
  if (operation.add !== null) links.push({ op: 'Add', inputs: [operation.add] })
  const signed = operations.some(({ op, input }) => op === 'sign' && input === name)
  if (output === 'bits' || signed) links.push({ op: 'Relu' })
  if (operation.op === 'conv2d' && operation.pool === 2)
    links.push({ op: 'MaxPool', attributes: window(2, 2) })
  return links
}

function window(size: number, stride: number): OnnxNode['attributes'] {
  return { kernel_shape: [size, size], strides: [stride, stride] }
}

/** Nodes that read each other; the last one gives the value of the name. */
function chain(source: string, name: string, links: readonly Link[]): readonly OnnxNode[] {
  let from = source
  return links.map(({ op, inputs = [], attributes }, index) => {
    const output = index === links.length - 1 ? name : `${name}.${op}`
    const node = { op, inputs: [from, ...inputs], outputs: [output], attributes }
    from = output
    return node
  })
}

/** The weights [out, …] and the bias [out] of an operation. */
function randomParameters(operation: Weighted, source: ValueType, random: Random): readonly OnnxTensor[] {
  const { name, out } = operation
  const taps = tapsOf(operation, source)
  const shape =
    operation.op === 'conv2d'
      ? [out, source.channels, operation.kernel, operation.kernel]
      : [out, source.height * source.width * source.channels]
  const limit = Math.sqrt(6 / taps) / (source.type === 'pixels' ? pixelDeviation : 1)
  const uniform = (length: number, limit: number) =>
    Float32Array.from({ length }, () => (2 * random.uniform() - 1) * limit)
  return [
    { name: `${name}.weight`, shape, values: uniform(out * taps, limit) },
    { name: `${name}.bias`, shape: [out], values: uniform(out, 0.1) },
  ]
}
