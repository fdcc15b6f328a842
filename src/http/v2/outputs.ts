import { XnordError } from '../../errors.ts'
import type { Prediction, ServedModel } from '../../serving/types.ts'
import type { InferRequest, OutputTensor } from '../schemas/v2.ts'

interface Output {
  readonly datatype: 'FP32' | 'BYTES'
  /** Without the first axis, the rows; −1 where it depends on the request. */
  readonly shape: (model: ServedModel) => readonly number[]
  readonly values: (prediction: Prediction, model: ServedModel) => Iterable<number | string>
}

/** The output tensors, in the order in which they are given where a request names none. */
const outputs: Readonly<Record<string, Output>> = {
  logits: {
    datatype: 'FP32',
    shape: ({ labels }) => [-1, labels.length],
    values: ({ logits }) => logits,
  },
  probabilities: {
    datatype: 'FP32',
    shape: ({ labels }) => [labels.length],
    values: ({ probabilities }) => Float32Array.from(probabilities),
  },
  label: {
    datatype: 'BYTES',
    shape: () => [],
    values: ({ index }, { labels }) => [labels[index]!],
  },
  uncertainty: {
    datatype: 'FP32',
    shape: () => [3],
    values: ({ uncertainty }) =>
      Float32Array.of(uncertainty.entropy, uncertainty.mutualInformation, uncertainty.agreement),
  },
}

export function outputMetadata(model: ServedModel) {
  return Object.entries(outputs).map(([name, { datatype, shape }]) => ({
    name,
    datatype,
    shape: [-1, ...shape(model)],
  }))
}

/**
 * The names of the outputs that a request asks for.
 *
 * @throws TENSOR_INVALID for one that there is not, or twice
 */
export function outputNames(asked: InferRequest['outputs']): readonly string[] {
  if (asked === undefined || asked.length === 0) return Object.keys(outputs)
  const names = asked.map(({ name }) => name)
  for (const [index, name] of names.entries()) {
    if (!Object.hasOwn(outputs, name)) {
      const known = Object.keys(outputs).join(', ')
      throw new XnordError('TENSOR_INVALID', `There is no output ${JSON.stringify(name)}, only ${known}.`)
    }
    if (names.indexOf(name) !== index)
      throw new XnordError('TENSOR_INVALID', `The output ${name} is asked for twice.`)
  }
  return names
}

/**
 * Extensions of the protocol that would change the form of the answer: a client that asks for one cannot read another.
 *
 * @throws TENSOR_INVALID
 */
export function refuseExtensions({ parameters, outputs = [] }: InferRequest): void {
  const asked: Readonly<Record<string, unknown>> = { ...parameters }
  if (asked.binary_data_output === true) throw notOffered('binary_data_output')
  for (const { name, parameters } of outputs) {
    const asked: Readonly<Record<string, unknown>> = { ...parameters }
    if (asked.binary_data === true) throw notOffered(`binary_data of the output ${JSON.stringify(name)}`)
    if ('classification' in asked && asked.classification !== 0)
      throw notOffered(`classification of the output ${JSON.stringify(name)}`)
  }
}

function notOffered(parameter: string): XnordError {
  return new XnordError(
    'TENSOR_INVALID',
    `The parameter ${parameter} is not offered; tensors are given as JSON.`,
  )
}

/** One output tensor over all rows, flat. */
export function writeOutput(
  name: string,
  predictions: readonly Prediction[],
  members: number,
  model: ServedModel,
): OutputTensor {
  const { datatype, shape, values } = outputs[name]!
  return {
    name,
    datatype,
    shape: [predictions.length, ...shape(model).map(length => (length === -1 ? members : length))],
    data: predictions.flatMap(prediction => [...values(prediction, model)]),
  }
}
