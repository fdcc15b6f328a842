/**
 * The int8 twin of a float32 network, with the quantization written as ONNX Runtime wants it (QDQ). A trained network's,
 * of the same form, is what `lrnet export --int8` writes.
 */

import { type OnnxGraph, type OnnxNode, type OnnxTensor, onnxType } from './encode.ts'

/** How an activation becomes a byte: x ≈ scale · (byte − zeroPoint). */
interface Quantization {
  readonly scale: number
  readonly zeroPoint: number
}

/** The image holds p − 128, which a byte takes without loss. */
const imageQuantization: Quantization = { scale: 1, zeroPoint: 128 }

const weighted: readonly string[] = ['Conv', 'Gemm']

/** Their output is a rearrangement of their input, so that it shares its scale. */
const rearranging: readonly string[] = ['MaxPool', 'Flatten']

/**
 * The activations that are quantized: all that is computed but the network's outputs, and but what only a ReLU reads,
 * which the quantization of the ReLU's output subsumes.
 */
export function quantizedValues({ nodes, outputs }: OnnxGraph): readonly string[] {
  return nodes
    .map(node => node.outputs[0])
    .filter(name => !outputs.some(output => output.name === name))
    .filter(name => {
      const readers = nodes.filter(({ inputs }) => inputs.includes(name))
      return readers.some(({ op }) => op !== 'Relu')
    })
}

/**
 * Weights are symmetric int8 with a scale a channel, activations uint8 with a scale a tensor, biases int32.
 *
 * @param ranges by the name of an activation that is quantized, its largest magnitude on the rows of a calibration
 */
export function int8Twin(graph: OnnxGraph, ranges: ReadonlyMap<string, number>): OnnxGraph {
  const quantizations = quantizationsOf(graph, ranges)
  const floats = new Map(graph.tensors!.map(tensor => [tensor.name, tensor]))
  const nodes: OnnxNode[] = []
  const tensors: OnnxTensor[] = []
  for (const [name, { scale, zeroPoint }] of quantizations) {
    tensors.push(
      { name: `${name}.scale`, shape: [], values: [scale] },
      { name: `${name}.zero`, type: onnxType.uint8, shape: [], values: [zeroPoint] },
    )
  }
  const quantize = (name: string) => {
    const parameters = [`${name}.scale`, `${name}.zero`]
    nodes.push(
      { op: 'QuantizeLinear', inputs: [name, ...parameters], outputs: [`${name}.bytes`] },
      { op: 'DequantizeLinear', inputs: [`${name}.bytes`, ...parameters], outputs: [`${name}.again`] },
    )
  }
  const dequantize = (name: string) => {
    const inputs = [`${name}.integers`, `${name}.scale`, `${name}.zero`]
    nodes.push({ op: 'DequantizeLinear', inputs, outputs: [name], attributes: { axis: 0 } })
  }
  for (const { name } of graph.inputs) quantize(name)
  for (const node of graph.nodes) {
    const [source, ...rest] = node.inputs
    if (weighted.includes(node.op)) {
      const [weight, bias] = rest.map(name => floats.get(name)!)
      const weightScales = channelScales(weight)
      const biasScales = weightScales.map(scale => scale * quantizations.get(source)!.scale)
      tensors.push(
        ...integers(weight, weightScales, onnxType.int8),
        ...integers(bias, biasScales, onnxType.int32),
      )
      dequantize(weight.name)
      dequantize(bias.name)
    }
    const inputs = node.inputs.map(name => (quantizations.has(name) ? `${name}.again` : name))
    nodes.push({ ...node, inputs })
    for (const name of node.outputs) if (quantizations.has(name)) quantize(name)
  }
  return { ...graph, nodes, tensors }
}

/** What is never negative takes all 256 bytes for what is positive. */
function quantizationsOf(
  { nodes, inputs }: OnnxGraph,
  ranges: ReadonlyMap<string, number>,
): ReadonlyMap<string, Quantization> {
  const quantizations = new Map(inputs.map(({ name }) => [name, imageQuantization]))
  for (const { op, inputs, outputs } of nodes) {
    const [name] = outputs
    const range = ranges.get(name)
    if (range === undefined) continue
    const source = quantizations.get(inputs[0])
    if (rearranging.includes(op) && source) {
      quantizations.set(name, source)
      continue
    }
    const positive = op === 'Relu' || (op === 'AveragePool' && source?.zeroPoint === 0)
    quantizations.set(
      name,
      positive ? { scale: range / 255, zeroPoint: 0 } : { scale: range / 127, zeroPoint: 128 },
    )
  }
  return quantizations
}

/** The scale of each channel's weights, so that the largest of them becomes ±127. */
function channelScales({ shape, values }: OnnxTensor): Float32Array {
  const [out] = shape
  const taps = values.length / out
  return Float32Array.from({ length: out }, (_, channel) => {
    let largest = 0
    for (let tap = 0; tap < taps; tap++) {
      largest = Math.max(largest, Math.abs(values[channel * taps + tap]))
    }
    return largest / 127
  })
}

/** A tensor [out, …] rounded to multiples of its channels' scales. */
function integers(
  { name, shape, values }: OnnxTensor,
  scales: Float32Array,
  type: typeof onnxType.int8 | typeof onnxType.int32,
): readonly OnnxTensor[] {
  const taps = values.length / scales.length
  const rounded = Array.from(values, (value, index) => Math.round(value / scales[Math.floor(index / taps)]))
  return [
    { name: `${name}.integers`, type, shape, values: rounded },
    { name: `${name}.scale`, shape: [scales.length], values: scales },
    { name: `${name}.zero`, type, shape: [scales.length], values: new Array(scales.length).fill(0) },
  ]
}
