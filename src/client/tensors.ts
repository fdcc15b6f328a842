/** Requests and answers of the Open Inference Protocol with their tensors in binary. */
import { type Call, type Reply, readJson, unreadable } from './exchange.ts'

/** What a model is asked about: rows of pixels in its own shape, or image files. */
export type ImageTensor =
  | {
      readonly datatype: 'UINT8'
      /** Rows, height, width, channels. */
      readonly shape: readonly [rows: number, height: number, width: number, channels: number]
      /** Row after row, without gaps. */
      readonly data: Uint8Array
      /** The data have one bit a value, lowest first, each row from a whole byte on: 0 is 0, and 1 is 255. */
      readonly bitPacked?: boolean
    }
  | {
      readonly datatype: 'BYTES'
      /** PNG, JPEG or WebP files. */
      readonly data: readonly Uint8Array[]
    }

export interface FloatTensor {
  readonly datatype: 'FP32'
  readonly shape: readonly number[]
  /** In row-major order. */
  readonly data: Float32Array<ArrayBuffer>
}

export interface TextTensor {
  readonly datatype: 'BYTES'
  readonly shape: readonly number[]
  readonly data: readonly string[]
}

export interface ByteTensor {
  readonly datatype: 'BOOL' | 'UINT8'
  readonly shape: readonly number[]
  /** In row-major order; a byte a value, or a bit where it was asked for so. */
  readonly data: Uint8Array<ArrayBuffer>
}

export type Tensor = FloatTensor | TextTensor | ByteTensor

/** What every model gives. */
export interface StandardOutputs {
  /** [rows, members, classes]; exact: the same on every machine. */
  readonly logits: FloatTensor
  /** [rows, classes]: the members' mean. */
  readonly probabilities: FloatTensor
  /** [rows] */
  readonly label: TextTensor
  /** [rows, 3]: entropy and mutual information in nats, and the share of the members that agree. */
  readonly uncertainty: FloatTensor
}

/** An output: its name, or its name and how it is to come. */
export type OutputRequest<Name extends string> =
  | Name
  | { readonly name: Name /** A bit a value, of a BOOL output. */; readonly bitPacked?: boolean }

export interface InferOptions<Name extends string = keyof StandardOutputs> {
  readonly model: string
  /** Without it the highest. */
  readonly version?: number
  /** Without it the standard ones. */
  readonly outputs?: readonly OutputRequest<Name>[]
  /** How many members answer; without it as many as the model states. */
  readonly members?: number
  /** Milliseconds from the receipt of the request after which nobody waits for the answer. */
  readonly deadline?: number
  readonly signal?: AbortSignal
}

export interface InferAnswer<Name extends string = keyof StandardOutputs> {
  readonly model: string
  readonly version: number
  readonly digest: string
  readonly backend: string
  readonly outputs: {
    readonly [Output in Name]: Output extends keyof StandardOutputs ? StandardOutputs[Output] : Tensor
  }
}

export function writeInfer<Name extends string>(input: ImageTensor, options: InferOptions<Name>): Call {
  const { model, version, outputs, members, deadline, signal } = options
  const binary = input.datatype === 'UINT8' ? input.data : joinElements(input.data)
  const json = new TextEncoder().encode(
    JSON.stringify({
      parameters: { binary_data_output: true, members, deadline },
      inputs: [
        {
          name: 'image',
          datatype: input.datatype,
          shape: input.datatype === 'UINT8' ? input.shape : [input.data.length],
          parameters: {
            binary_data_size: binary.length,
            ...(input.datatype === 'UINT8' && input.bitPacked && { bit_packed: true }),
          },
        },
      ],
      outputs: outputs?.map(output =>
        typeof output === 'string'
          ? { name: output }
          : { name: output.name, parameters: { ...(output.bitPacked && { bit_packed: true }) } },
      ),
    }),
  )
  const body = new Uint8Array(json.length + binary.length)
  body.set(json)
  body.set(binary, json.length)
  return {
    method: 'POST',
    path: ['v2', 'models', model, ...(version === undefined ? [] : ['versions', String(version)]), 'infer'],
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(json.length),
    },
    body,
    signal,
  }
}

/** An answer's JSON, as far as the client reads it. */
interface InferBody {
  readonly model_name: string
  readonly model_version: string
  readonly parameters: { readonly digest: string; readonly backend: string }
  readonly outputs: readonly {
    readonly name: string
    readonly datatype: Tensor['datatype']
    readonly shape: readonly number[]
    readonly parameters: { readonly binary_data_size: number }
  }[]
}

/** @throws RequestError ANSWER_UNREADABLE */
export function readInfer<Name extends string>(reply: Reply): InferAnswer<Name> {
  const { headers, bytes } = reply
  try {
    let begin = Number(headers.get('inference-header-content-length'))
    const body = readJson(bytes.subarray(0, begin)) as InferBody
    const tensors = body.outputs.map(({ name, datatype, shape, parameters }) => {
      const end = begin + parameters.binary_data_size
      if (end > bytes.length) throw new RangeError(`${name} ends beyond the answer.`)
      // A copy: numbers begin at multiples of their size.
      const data = bytes.slice(begin, end)
      begin = end
      return [name, { datatype, shape, data: valuesOf(datatype, data) }] as const
    })
    return {
      model: body.model_name,
      version: Number(body.model_version),
      ...body.parameters,
      outputs: Object.fromEntries(tensors) as InferAnswer<Name>['outputs'],
    }
  } catch (cause) {
    throw unreadable(reply, cause)
  }
}

function valuesOf(datatype: Tensor['datatype'], data: Uint8Array<ArrayBuffer>): Tensor['data'] {
  if (datatype === 'FP32') return new Float32Array(data.buffer)
  return datatype === 'BYTES' ? splitTexts(data) : data
}

const lengthBytes = 4

/** Each element behind its length, as BYTES tensors have them. */
function joinElements(elements: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(elements.reduce((sum, { length }) => sum + lengthBytes + length, 0))
  const view = new DataView(joined.buffer)
  let at = 0
  for (const element of elements) {
    view.setUint32(at, element.length, true)
    joined.set(element, at + lengthBytes)
    at += lengthBytes + element.length
  }
  return joined
}

function splitTexts(bytes: Uint8Array<ArrayBuffer>): readonly string[] {
  const view = new DataView(bytes.buffer)
  const decoder = new TextDecoder()
  const texts: string[] = []
  let at = 0
  while (at < bytes.length) {
    const begin = at + lengthBytes
    at = begin + view.getUint32(at, true)
    texts.push(decoder.decode(bytes.subarray(begin, at)))
  }
  return texts
}
