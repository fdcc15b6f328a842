/** The operations that a model may contain: their attributes, and the shapes and types that follow. */

/** The shape of the value `image`, and how an image of another size is brought to it. */
export interface InputSpec {
  readonly height: number
  readonly width: number
  readonly channels: 1 | 3
  readonly resize: 'stretch' | 'contain' | 'cover'
}

export type WeightKind = 'binary' | 'ternary' | 'shift'

interface OperationBase {
  readonly name: string
  /** `image`, or the name of an earlier operation. */
  readonly input: string
}

interface WeightedBase extends OperationBase {
  readonly out: number
  readonly weights: WeightKind
  readonly shifts: readonly number[]
  readonly output: 'bits' | 'floats'
  /** An earlier value of floats, of the same shape, that is added to the output; with `floats` only. */
  readonly add: string | null
}

export interface Conv2d extends WeightedBase {
  readonly op: 'conv2d'
  readonly kernel: number
  readonly stride: number
  readonly padding: number
  readonly pool: 1 | 2
}

export interface Linear extends WeightedBase {
  readonly op: 'linear'
}

export interface Sign extends OperationBase {
  readonly op: 'sign'
}

export interface AveragePool extends OperationBase {
  readonly op: 'average_pool'
  readonly size: number
}

/** One fused step, with every default filled in. */
export type Operation = Conv2d | Linear | Sign | AveragePool

/** A value that flows between operations: [height, width, channels] of one element type. */
export interface ValueType {
  readonly type: 'pixels' | 'bits' | 'floats'
  readonly height: number
  readonly width: number
  readonly channels: number
}
