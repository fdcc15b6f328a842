import { XnordError } from '../../errors.ts'
import type { Layer, Prediction, RowAnswer, ServedModel } from '../../serving/types.ts'
import type { InferRequest } from '../schemas/v2.ts'
import { layerMetadata, type OutputForm } from './layers.ts'

/** A row that has its answer by the discrete network. */
export type Answered = Extract<RowAnswer, { readonly ok: true }> & { readonly prediction: Prediction }

/** What stands in a tensor: numbers for FP32, texts for BYTES. */
export type Values = Float32Array | readonly string[]

interface Output {
  readonly datatype: 'FP32' | 'BYTES'
  /** Whether the last axis has one value a class. */
  readonly isOfClasses: boolean
  /** Without the first axis, the rows; −1 where it depends on the request. */
  readonly shape: (model: ServedModel) => readonly number[]
  /** Over all rows, in row-major order. */
  readonly values: (answers: readonly Answered[], model: ServedModel) => Values
}

/** The output tensors, in the order in which they are given where a request names none. */
const outputs = {
  logits: {
    datatype: 'FP32',
    isOfClasses: true,
    shape: ({ labels }) => [-1, labels.length],
    values: answers => collect(answers, ({ prediction }) => prediction.logits),
  },
  probabilities: {
    datatype: 'FP32',
    isOfClasses: true,
    shape: ({ labels }) => [labels.length],
    values: answers => collect(answers, ({ prediction }) => prediction.probabilities),
  },
  label: {
    datatype: 'BYTES',
    isOfClasses: false,
    shape: () => [],
    values: (answers, { labels }) => answers.map(({ prediction }) => labels[prediction.index]!),
  },
  uncertainty: {
    datatype: 'FP32',
    isOfClasses: false,
    shape: () => [3],
    values: answers =>
      collect(answers, ({ prediction: { uncertainty } }) => [
        uncertainty.entropy,
        uncertainty.mutualInformation,
        uncertainty.agreement,
      ]),
  },
} as const satisfies Readonly<Record<string, Output>>

export type OutputName = keyof typeof outputs

/** `answers` is never empty, and all of their values are of one length. */
function collect(
  answers: readonly Answered[],
  valuesOf: (answer: Answered) => ArrayLike<number>,
): Float32Array {
  const { length } = valuesOf(answers[0]!)
  const values = new Float32Array(answers.length * length)
  for (let row = 0; row < answers.length; row++) values.set(valuesOf(answers[row]!), row * length)
  return values
}

/** An output as a request asks for it. */
export interface AskedOutput {
  readonly name: string
  /** An output of the model, or of one of its operations. */
  readonly source: OutputName | Layer
  readonly form: OutputForm
  /** How many classes are named in its place; 0 for the tensor itself. */
  readonly classes: number
}

export function outputMetadata(model: ServedModel) {
  return Object.entries(outputs).map(([name, { datatype, shape }]) => ({
    name,
    datatype,
    shape: [-1, ...shape(model)],
  }))
}

/** What can be asked for by name, and is not given unasked. */
export function hiddenOutputMetadata(model: ServedModel) {
  return layerMetadata(model, isOutput)
}

export function outputValues(name: OutputName, answers: readonly Answered[], model: ServedModel): Values {
  return outputs[name].values(answers, model)
}

export function outputType(name: OutputName): Output['datatype'] {
  return outputs[name].datatype
}

/** Without the first axis, the rows. */
export function outputShape(name: OutputName, members: number, model: ServedModel): readonly number[] {
  return outputs[name].shape(model).map(length => (length === -1 ? members : length))
}

const names = Object.keys(outputs) as OutputName[]
const allAs = (form: 'json' | 'binary') => names.map(name => ({ name, source: name, form, classes: 0 }))
const allInJson: readonly AskedOutput[] = allAs('json')
const allInBinary: readonly AskedOutput[] = allAs('binary')

/**
 * The outputs that a request asks for.
 *
 * @throws TENSOR_INVALID for one that there is not, or twice, or in a form that it cannot have
 */
export function askedOutputs(
  { parameters, outputs: asked }: InferRequest,
  model: ServedModel,
): readonly AskedOutput[] {
  const allBinary = parameters?.binary_data_output === true
  if (asked === undefined || asked.length === 0) return allBinary ? allInBinary : allInJson
  return asked.map(({ name, parameters = {} }, index): AskedOutput => {
    const source = sourceOf(name, model)
    if (asked.findIndex(other => other.name === name) !== index) throw invalid(name, 'it is asked for twice')
    const { binary_data: binary = allBinary, classification: classes = 0, bit_packed: packed } = parameters
    if (classes > 0 && !(typeof source === 'string' && outputs[source].isOfClasses))
      throw invalid(name, 'classification is for logits and probabilities')
    if (packed && !(binary && typeof source !== 'string' && source.type === 'bits'))
      throw invalid(name, 'bit_packed is for BOOL as binary data')
    if ('shared_memory_region' in parameters) throw invalid(name, 'shared memory is not offered')
    return { name, source, form: packed ? 'bit-packed' : binary ? 'binary' : 'json', classes }
  })
}

function sourceOf(name: string, { layers }: ServedModel): OutputName | Layer {
  if (isOutput(name)) return name
  const layer = layers.find(layer => layer.name === name)
  if (layer !== undefined) return layer
  const known = new Set([...names, ...layers.map(({ name }) => name)])
  throw invalid(name, `there is none; these are there: ${[...known].join(', ')}`)
}

function isOutput(name: string): name is OutputName {
  return Object.hasOwn(outputs, name)
}

function invalid(name: string, what: string): XnordError {
  return new XnordError('TENSOR_INVALID', `The output ${JSON.stringify(name)}: ${what}.`)
}
