import type { Prediction, ServedModel } from '../../serving/types.ts'
import type { InferResponse, OutputTensor } from '../schemas/v2.ts'
import { writeElements } from './binary.ts'
import { classifications } from './classification.ts'
import { type AskedOutput, outputShape, outputType, outputValues } from './outputs.ts'

/** The body of an answer. */
export interface InferAnswer {
  readonly body: Buffer
  /** Bytes of the JSON where binary data follow it; null where there is nothing but JSON. */
  readonly headerLength: number | null
}

/** @param predictions one a row, at least one */
export function writeAnswer(
  id: string | undefined,
  asked: readonly AskedOutput[],
  predictions: readonly Prediction[],
  members: number,
  model: ServedModel,
): InferAnswer {
  const binary: Uint8Array[] = []
  const response: InferResponse = {
    model_name: model.name,
    model_version: String(model.version),
    ...(id !== undefined && { id }),
    parameters: { digest: model.digest, backend: model.backend },
    outputs: asked.map(output => writeOutput(output, predictions, members, model, binary)),
  }
  const json = Buffer.from(JSON.stringify(response))
  if (binary.length === 0) return { body: json, headerLength: null }
  return { body: Buffer.concat([json, ...binary]), headerLength: json.length }
}

/** @param binary takes the bytes of an output that is to follow the JSON */
function writeOutput(
  { name, binary: inBinary, classes }: AskedOutput,
  predictions: readonly Prediction[],
  members: number,
  model: ServedModel,
  binary: Uint8Array[],
): OutputTensor {
  const shape = [...outputShape(name, predictions.length, members, model)]
  let datatype = outputType(name)
  let values = outputValues(name, predictions, model)
  if (classes > 0) {
    const count = Math.min(classes, model.labels.length)
    values = classifications(values as Float32Array, model.labels, count)
    datatype = 'BYTES'
    shape[shape.length - 1] = count
  }
  if (!inBinary) return { name, datatype, shape, data: Array.from<number | string>(values) }
  const bytes = values instanceof Float32Array ? new Uint8Array(values.buffer) : writeElements(values)
  binary.push(bytes)
  return { name, datatype, shape, parameters: { binary_data_size: bytes.length } }
}
