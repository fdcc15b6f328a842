/** Enough of protocol buffers and of onnx.proto3 to write a small network by hand. */

type Field = readonly [number: number, value: number | string | Uint8Array]

export const onnxType = { float: 1, uint8: 2, int8: 3, int32: 6, int64: 7, double: 11 } as const

/** The bytes of a tensor of each type, little-endian as on every machine that Node.js runs on. */
const rawData = {
  [onnxType.float]: values => Float32Array.from(values),
  [onnxType.uint8]: values => Uint8Array.from(values),
  [onnxType.int8]: values => Int8Array.from(values),
  [onnxType.int32]: values => Int32Array.from(values),
} satisfies Readonly<Record<number, (values: ArrayLike<number>) => ArrayBufferView>>

export type TensorType = keyof typeof rawData

/** A free axis has a name, a fixed one a length. */
export interface OnnxValue {
  readonly name: string
  readonly type?: number
  /** Of an output it may be left to the reader of the file to find out. */
  readonly shape?: readonly (number | string)[]
  /** A sequence of such tensors, not one. */
  readonly sequence?: boolean
}

export interface OnnxTensor {
  readonly name: string
  /** `float` unless told. */
  readonly type?: TensorType
  readonly shape: readonly number[]
  readonly values: ArrayLike<number>
  /** A file that holds the values instead. */
  readonly location?: string
}

export interface OnnxNode {
  readonly op: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** Integers and lists of them; networks as small as these need no others. */
  readonly attributes?: Readonly<Record<string, number | readonly number[]>>
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[]
  readonly inputs: readonly OnnxValue[]
  readonly outputs: readonly OnnxValue[]
  readonly tensors?: readonly OnnxTensor[]
}

/** The bytes of a ModelProto. */
export function encodeOnnx(graph: OnnxGraph): Uint8Array {
  const graphProto = message([
    ...graph.nodes.map((node): Field => [1, encodeNode(node)]),
    [2, 'network'],
    ...(graph.tensors ?? []).map((tensor): Field => [5, encodeTensor(tensor)]),
    ...graph.inputs.map((value): Field => [11, encodeValue(value)]),
    ...graph.outputs.map((value): Field => [12, encodeValue(value)]),
  ])
  const operatorSet = message([[2, 13]])
  return message([
    [1, 8], // IR version
    [8, operatorSet],
    [7, graphProto],
  ])
}

function encodeNode({ op, inputs, outputs, attributes = {} }: OnnxNode): Uint8Array {
  return message([
    ...inputs.map((name): Field => [1, name]),
    ...outputs.map((name): Field => [2, name]),
    [4, op],
    ...Object.entries(attributes).map(([name, value]): Field => [5, encodeAttribute(name, value)]),
  ])
}

function encodeAttribute(name: string, value: number | readonly number[]): Uint8Array {
  return typeof value === 'number'
    ? message([
        [1, name],
        [3, value],
        [20, 2], // the attribute's type: INT
      ])
    : message([
        [1, name],
        ...value.map((integer): Field => [8, integer]),
        [20, 7], // INTS
      ])
}

function encodeTensor({ name, type = onnxType.float, shape, values, location }: OnnxTensor): Uint8Array {
  const dims = shape.map((length): Field => [1, length])
  const data: Field[] =
    location === undefined
      ? [[9, new Uint8Array(rawData[type](values).buffer)]]
      : [
          [
            13,
            message([
              [1, 'location'],
              [2, location],
            ]),
          ],
          [14, 1],
        ]
  return message([...dims, [2, type], [8, name], ...data])
}

function encodeValue({ name, type = onnxType.float, shape, sequence = false }: OnnxValue): Uint8Array {
  const axes = shape?.map((axis): Field => [1, message([typeof axis === 'number' ? [1, axis] : [2, axis]])])
  const tensorType = message(
    axes
      ? [
          [1, type],
          [2, message(axes)],
        ]
      : [[1, type]],
  )
  const tensor = message([[1, tensorType]])
  const valueType = sequence ? message([[4, message([[1, tensor]])]]) : tensor
  return message([
    [1, name],
    [2, valueType],
  ])
}

function message(fields: readonly Field[]): Uint8Array {
  return Buffer.concat(
    fields.map(([number, value]) => {
      if (typeof value === 'number') return Buffer.concat([varint(number << 3), varint(value)])
      const bytes = Buffer.from(value)
      return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes])
    }),
  )
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  while (rest > 127) {
    bytes.push((rest % 128) | 128)
    rest = Math.floor(rest / 128)
  }
  return Uint8Array.from([...bytes, rest])
}
