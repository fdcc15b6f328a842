import { XnordError } from '../../errors.ts'
import type { Prediction, ServedModel } from '../../serving/types.ts'
import type { InferRequest } from '../schemas/v2.ts'

/** What stands in a tensor: numbers for FP32, texts for BYTES. */
export type Values = Float32Array | readonly string[]

interface Output {
  readonly datatype: 'FP32' | 'BYTES'
  /** Whether the last axis has one value a class. */
  readonly isOfClasses: boolean
  /** Without the first axis, the rows; −1 where it depends on the request. */
  readonly shape: (model: ServedModel) => readonly number[]
  /** Over all rows, in row-major order. */
  readonly values: (predictions: readonly Prediction[], model: ServedModel) => Values
}

/** The output tensors, in the order in which they are given where a request names none. */
const outputs = {
  logits: {
    datatype: 'FP32',
    isOfClasses: true,
    shape: ({ labels }) => [-1, labels.length],
    values: predictions => collect(predictions, ({ logits }) => logits),
  },
  probabilities: {
    datatype: 'FP32',
    isOfClasses: true,
    shape: ({ labels }) => [labels.length],
    values: predictions => collect(predictions, ({ probabilities }) => probabilities),
  },
  label: {
    datatype: 'BYTES',
    isOfClasses: false,
    shape: () => [],
    values: (predictions, { labels }) => predictions.map(({ index }) => labels[index]!),
  },
  uncertainty: {
    datatype: 'FP32',
    isOfClasses: false,
    shape: () => [3],
    values: predictions =>
      collect(predictions, ({ uncertainty: { entropy, mutualInformation, agreement } }) => [
        entropy,
        mutualInformation,
        agreement,
      ]),
  },
} as const satisfies Readonly<Record<string, Output>>

export type OutputName = keyof typeof outputs

/** An output as a request asks for it. */
export interface AskedOutput {
  readonly name: OutputName
  /** Behind the JSON, not in it. */
  readonly binary: boolean
  /** How many classes are named in its place; 0 for the tensor itself. */
  readonly classes: number
}

/** `predictions` is never empty, and all of them are of one length. */
function collect(
  predictions: readonly Prediction[],
  valuesOf: (prediction: Prediction) => ArrayLike<number>,
): Float32Array {
  const { length } = valuesOf(predictions[0]!)
  const values = new Float32Array(predictions.length * length)
  for (let row = 0; row < predictions.length; row++) values.set(valuesOf(predictions[row]!), row * length)
  return values
}

export function outputMetadata(model: ServedModel) {
  return Object.entries(outputs).map(([name, { datatype, shape }]) => ({
    name,
    datatype,
    shape: [-1, ...shape(model)],
  }))
}

export function outputValues(
  name: OutputName,
  predictions: readonly Prediction[],
  model: ServedModel,
): Values {
  return outputs[name].values(predictions, model)
}

export function outputType(name: OutputName): Output['datatype'] {
  return outputs[name].datatype
}

export function outputShape(
  name: OutputName,
  rows: number,
  members: number,
  model: ServedModel,
): readonly number[] {
  return [rows, ...outputs[name].shape(model).map(length => (length === -1 ? members : length))]
}

const names = Object.keys(outputs) as OutputName[]
const allAs = (binary: boolean) => names.map(name => ({ name, binary, classes: 0 }))
const allInJson: readonly AskedOutput[] = allAs(false)
const allInBinary: readonly AskedOutput[] = allAs(true)

/**
 * The outputs that a request asks for.
 *
 * @throws TENSOR_INVALID for one that there is not, or twice, or in a form that it cannot have
 */
export function askedOutputs({ parameters, outputs: asked }: InferRequest): readonly AskedOutput[] {
  const inBinary = parameters?.binary_data_output === true
  if (asked === undefined || asked.length === 0) return inBinary ? allInBinary : allInJson
  return asked.map(({ name, parameters }, index) => {
    if (!isOutput(name)) throw invalid(name, `there is none; ${names.join(', ')} are there`)
    if (asked.findIndex(other => other.name === name) !== index) throw invalid(name, 'it is asked for twice')
    const classes = parameters?.classification ?? 0
    if (classes > 0 && !outputs[name].isOfClasses)
      throw invalid(name, 'classification is for logits and probabilities')
    if (parameters?.bit_packed === true) throw invalid(name, 'bit_packed is for BOOL')
    if (parameters !== undefined && 'shared_memory_region' in parameters)
      throw invalid(name, 'shared memory is not offered')
    return { name, binary: parameters?.binary_data ?? inBinary, classes }
  })
}

function isOutput(name: string): name is OutputName {
  return Object.hasOwn(outputs, name)
}

function invalid(name: string, what: string): XnordError {
  return new XnordError('TENSOR_INVALID', `The output ${JSON.stringify(name)}: ${what}.`)
}
