import type { Layer, ServedModel } from '../../serving/types.ts'
import type { InferResponse, OutputTensor } from '../schemas/v2.ts'
import { writeElements } from './binary.ts'
import { classifications } from './classification.ts'
import { layerShape, layerType, layerValues } from './layers.ts'
import {
  type Answered,
  type AskedOutput,
  type OutputName,
  outputShape,
  outputType,
  outputValues,
} from './outputs.ts'

/** The body of an answer. */
export interface InferAnswer {
  readonly body: Buffer
  /** Bytes of the JSON where binary data follow it; null where there is nothing but JSON. */
  readonly headerLength: number | null
}

/** What an answer is made of, beside the outputs that are asked for. */
export interface Answers {
  /** One a row, at least one. */
  readonly rows: readonly Answered[]
  /** In the order of their layers. */
  readonly layers: readonly string[]
  readonly members: number
  readonly model: ServedModel
}

export function writeAnswer(
  id: string | undefined,
  asked: readonly AskedOutput[],
  answers: Answers,
): InferAnswer {
  const { model } = answers
  const binary: Uint8Array[] = []
  const response: InferResponse = {
    model_name: model.name,
    model_version: String(model.version),
    ...(id !== undefined && { id }),
    parameters: { digest: model.digest, backend: model.backend },
    outputs: asked.map(output =>
      typeof output.source === 'string'
        ? writeOutput(output, output.source, answers, binary)
        : writeLayer(output, output.source, answers, binary),
    ),
  }
  const json = Buffer.from(JSON.stringify(response))
  if (binary.length === 0) return { body: json, headerLength: null }
  return { body: Buffer.concat([json, ...binary]), headerLength: json.length }
}

/** @param binary takes the bytes of an output that is to follow the JSON */
function writeOutput(
  { name, form, classes }: AskedOutput,
  source: OutputName,
  { rows, members, model }: Answers,
  binary: Uint8Array[],
): OutputTensor {
  const shape = [rows.length, ...outputShape(source, members, model)]
  let datatype = outputType(source)
  let values = outputValues(source, rows, model)
  if (classes > 0) {
    const count = Math.min(classes, model.labels.length)
    values = classifications(values as Float32Array, model.labels, count)
    datatype = 'BYTES'
    shape[shape.length - 1] = count
  }
  if (form === 'json') return { name, datatype, shape, data: Array.from<number | string>(values) }
  const bytes = values instanceof Float32Array ? new Uint8Array(values.buffer) : writeElements(values)
  binary.push(bytes)
  return { name, datatype, shape, parameters: { binary_data_size: bytes.length } }
}

function writeLayer(
  { name, form }: AskedOutput,
  layer: Layer,
  { rows, layers, members }: Answers,
  binary: Uint8Array[],
): OutputTensor {
  const datatype = layerType(layer)
  const shape = [rows.length, ...layerShape(layer, members)]
  const place = layers.indexOf(name)
  const bytes = rows.map(row => row.layers![place]!)
  if (form === 'bit-packed') {
    binary.push(...bytes)
    const size = bytes.length * bytes[0]!.length
    return { name, datatype, shape, parameters: { binary_data_size: size, bit_packed: true } }
  }
  const values = layerValues(layer, bytes, members)
  if (form === 'json') {
    const data = values instanceof Float32Array ? Array.from(values) : Array.from(values, bit => bit === 1)
    return { name, datatype, shape, data }
  }
  binary.push(new Uint8Array(values.buffer))
  return { name, datatype, shape, parameters: { binary_data_size: values.byteLength } }
}
