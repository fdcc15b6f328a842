/** What the main thread and the workers tell each other. Everything here survives structured cloning. */

import type { Check } from '../engine/format.ts'
import type { InputSpec } from '../engine/graph.ts'
import type { Plan } from '../engine/plan.ts'
import type { ErrorData } from '../errors.ts'
import type { LoadedBackend } from './backend.ts'
import type { PackedRows } from './packed-rows.ts'
import type { BaselinePrediction, Networks, Prediction } from './types.ts'

/** What every worker is born with. */
export interface WorkerData {
  readonly backend: LoadedBackend
  /** Pixels of an image file beyond which it is refused before it is decoded. */
  readonly maxPixels: number
}

/** A loaded model version as a worker needs it. All that is large lies in shared memory: a copy costs little. */
export interface ModelSpec {
  /** Unique in this process. */
  readonly id: number
  readonly plan: Plan
  /** The arena, shared, with the weights filled in. */
  readonly memory: WebAssembly.Memory
  /** Its arrays are views of shared memory. */
  readonly check: Check
  readonly input: InputSpec
  /** Entry k − 1 holds when k members answer. */
  readonly temperature: readonly number[]
  /** The ONNX file. */
  readonly baseline: SharedArrayBuffer | null
}

export interface OpenMessage {
  readonly model: ModelSpec
  /** A slot of the arena that nobody else uses until the reply. */
  readonly slot: number
}

export interface ReleaseMessage {
  readonly model: number
}

export interface RunMessage {
  readonly model: number
  /** The model itself, for a worker that has answered that it does not know it. */
  readonly spec: ModelSpec | null
  /** The arena's slot that this batch may use, 0..slots − 1; nobody else uses it until the reply. */
  readonly slot: number
  /** Of the discrete network; 0 where the baseline answers alone. */
  readonly members: number
  readonly networks: Networks
  /** Names of layers whose outputs are wanted, too. */
  readonly layers: readonly string[]
  /** All rows' bytes behind one another: one transfer, and no slab of pooled Buffers is cloned. */
  readonly bytes: ArrayBuffer
  /**
   * Of each row its bytes: of pixels so many, of an image file so many with a minus; an empty file never comes so far.
   * Objects take far longer to clone.
   */
  readonly rows: readonly number[]
}

export interface DecodeMessage {
  readonly input: InputSpec
  readonly bytes: ArrayBuffer
}

/** `stack` is there for what is no XnordError: a bug, whose place would be lost otherwise. */
export interface Failed {
  readonly kind: 'failed'
  readonly error: ErrorData
  readonly stack: string | null
}

/** `decode` in milliseconds. */
export type RowReply =
  | {
      readonly ok: true
      readonly decode: number
      readonly prediction: Prediction | null
      readonly baseline: BaselinePrediction | null
    }
  | { readonly ok: false; readonly decode: number; readonly error: ErrorData }

export interface DoneReply {
  readonly kind: 'done'
}

/** Packed as it travels. */
export interface RowsReply {
  readonly kind: 'rows'
  readonly rows: readonly RowReply[]
  /** Milliseconds for the whole batch, of the discrete network and of the baseline; null for one that has not run. */
  readonly compute: number | null
  readonly baseline: number | null
  /** Of each layer that was asked for, its output for all answered rows behind one another. */
  readonly layers: readonly Uint8Array[]
}

export interface DecodedReply {
  readonly kind: 'decoded'
  /** In the model's shape. */
  readonly pixels: Uint8Array
  readonly decode: number
}

/** The worker has been started after the model was opened (its predecessor died), and wants the model itself. */
export interface UnknownModelReply {
  readonly kind: 'unknown-model'
}

/** The tasks of a worker by name, as its entry exports them. */
export interface WorkerTasks {
  open(message: OpenMessage): Promise<DoneReply | Failed>
  run(message: RunMessage): Promise<PackedRows | UnknownModelReply | Failed>
  decode(message: DecodeMessage): Promise<DecodedReply | Failed>
  release(message: ReleaseMessage): Promise<DoneReply | Failed>
}
