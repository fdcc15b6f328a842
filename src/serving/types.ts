import type { InputSpec } from '../engine/graph.ts'
import type { Backend } from '../engine/kernels/kernels.ts'
import type { ErrorCode, ErrorData } from '../errors.ts'

/** An operation of a model, whose output can be asked for. */
export interface Layer {
  readonly name: string
  /** Of an element of its output. */
  readonly type: 'bits' | 'floats'
  readonly height: number
  readonly width: number
  readonly channels: number
}

/** One loaded version of a model, as requests and answers see it. Immutable. */
export interface ServedModel {
  readonly name: string
  readonly version: number
  /** SHA-256 of the model file, hexadecimal: the model's identity. */
  readonly digest: string
  readonly backend: Backend
  readonly input: InputSpec
  readonly labels: readonly string[]
  /** Its operations, in order. */
  readonly layers: readonly Layer[]
  /** K, and how many of them answer where a request does not say. */
  readonly members: number
  readonly defaultMembers: number
  readonly hasBaseline: boolean
  /** Rows that one batch takes at most. */
  readonly maxRows: number
  /** Cost of one row by one member, in 64-bit word operations. */
  readonly wordOperations: number
  readonly bytes: { readonly model: number; readonly baseline: number | null }
  /** The model's own account of its training, measured accuracy included; never interpreted here. */
  readonly provenance: Readonly<Record<string, unknown>>
}

/** One image of a request: an encoded file, or raw pixels in the model's shape (NHWC, a byte each). */
export interface Row {
  readonly kind: 'file' | 'pixels'
  readonly bytes: Uint8Array
}

/**
 * What serving uses of an AbortSignal, which is one. With one of Node's own for each request V8's young collections of
 * garbage free little of what hangs on it, which costs more time than a small network.
 */
export interface GoneSignal {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** Who answers a row: the discrete network, its float baseline, or both beside each other. */
export type Networks = 'discrete' | 'baseline' | 'both'

export interface PredictRequest {
  readonly model: ServedModel
  /** 1 or more; they are admitted together or not at all. */
  readonly rows: readonly Row[]
  /** 1..model.members, of the discrete network; without a meaning where the baseline answers alone. */
  readonly members: number
  readonly networks: Networks
  /** Names of layers whose outputs are wanted, too: the discrete network then runs twice, if it is asked at all. */
  readonly layers?: readonly string[]
  /** Milliseconds on the clock of `performance.now()` after which nobody waits for the answer. */
  readonly deadline?: number | undefined
  /** Aborted when the client has gone: rows that still wait are dropped, and cost nothing. */
  readonly signal?: GoneSignal | undefined
}

export interface Uncertainty {
  /** Of the mean distribution, in nats. */
  readonly entropy: number
  /** Entropy of the mean less the mean entropy of the members, in nats, ≥ 0: what the members disagree on. */
  readonly mutualInformation: number
  /** Share of the members whose own first class is the answer's, 0..1. */
  readonly agreement: number
  readonly members: number
}

export interface Prediction {
  /** float32 [members, classes] */
  readonly logits: Float32Array
  /** float64 [classes]: the mean over the members of softmax(logits / temperature). */
  readonly probabilities: Float64Array
  /** The most probable class; ties go to the lowest index. */
  readonly index: number
  readonly uncertainty: Uncertainty
}

/** The float baseline's answer for the same row. */
export interface BaselinePrediction {
  /** float32 [classes] */
  readonly logits: Float32Array
  /** float64 [classes] */
  readonly probabilities: Float64Array
  readonly index: number
}

/**
 * Milliseconds. Decode is the row's own; compute, of the discrete network, and baseline are its batch's, divided by the
 * batch's rows; null is a network that was not asked.
 */
export interface RowTimes {
  readonly queue: number
  readonly decode: number
  readonly compute: number | null
  readonly baseline: number | null
}

export type RowAnswer =
  | {
      readonly ok: true
      /** The discrete network's; null where it was not asked, as the baseline's is. */
      readonly prediction: Prediction | null
      readonly baseline: BaselinePrediction | null
      /**
       * Of each layer that was asked for, [members, height, width, channels]: bits (1 is +1) without gaps, the first one
       * in the lowest bit of the first byte, or little-endian float32.
       */
      readonly layers?: readonly Uint8Array[]
      readonly times: RowTimes
    }
  | { readonly ok: false; readonly error: ErrorData }

/** Why rows were turned away or dropped before they were computed: the label `reason` of the rejections counter. */
export type RejectionReason = Extract<
  ErrorCode,
  | 'QUEUE_FULL'
  | 'REQUEST_TOO_LARGE_FOR_QUEUE'
  | 'DEADLINE_EXCEEDED'
  | 'CLIENT_GONE'
  | 'NOT_READY'
  | 'SHUTTING_DOWN'
  | 'WORKER_LOST'
>

/**
 * Why a batch left when it did: it was full; or a worker was free and took its share of what waited; or its oldest row
 * had waited for as long as rows may be held back.
 */
export type BatchReason = 'full' | 'worker' | 'delay'

/** Of what a worker has died: its heap was exhausted, its thread ended, or an error escaped it. */
export type WorkerLossCause = 'memory' | 'exit' | 'error'

/** What serving tells of itself as it happens. It knows nothing of metrics; whoever does implements this. */
export interface Observer {
  /** A row has its answer (failed images too: of them no network has a time). */
  row(model: ServedModel, times: RowTimes): void
  /** A batch came back from a worker, which computed for so many milliseconds, by all networks that were asked. */
  batch(
    model: ServedModel,
    batch: { readonly rows: number; readonly reason: BatchReason; readonly compute: number },
  ): void
  rejected(model: ServedModel, reason: RejectionReason, rows: number): void
  /** A row was answered with an error of its own (a broken image). */
  failed(model: ServedModel, code: ErrorCode): void
  /** A worker has died; another one takes its place. */
  workerLost(cause: WorkerLossCause): void
  /** Rows whose worker died have gone back to the queue, to be computed by another one. */
  retried(model: ServedModel, rows: number): void
  /** The model answers from now on, in place of the one of the same name and version where there is one. */
  loaded(model: ServedModel): void
  /** The model takes no new requests any more. After a swap it comes behind `loaded` of the successor. */
  unloaded(model: ServedModel): void
}

/** The state at this moment, for gauges. Rows are counted × members (plus the baseline's cost where it is asked for). */
export interface ServiceState {
  readonly ready: boolean
  readonly workers: number
  readonly busyWorkers: number
  /** By model: those that answer, and those that were swapped or unloaded and for which rows wait still. */
  readonly queuedRows: () => ReadonlyMap<ServedModel, number>
  readonly inFlightRows: number
  /** Seconds that workers have spent on tasks since the start, all workers together; never falls. */
  readonly busySeconds: number
}

/** A version as the models folder and the memory hold it. */
export interface RepositoryEntry {
  readonly name: string
  readonly version: number
  /** READY: it answers, though its folder may hold something newer that is broken, or may be gone. */
  readonly state: 'READY' | 'LOADING' | 'UNLOADING' | 'UNAVAILABLE'
  /** Why it is unavailable, or why what is in its folder was refused; empty where all is well. */
  readonly reason: string
}

/** The levels of pino that serving uses. */
export interface Log {
  info(details: object, message: string): void
  warn(details: object, message: string): void
  error(details: object, message: string): void
}

export interface ServiceOptions {
  /** The folder of models: `<name>/<integer version>/model.safetensors`. */
  readonly models: string
  /** Threads that compute, 1 or more. */
  readonly workers: number
  /** What may wait at once for each model, in rows × members (plus the baseline's cost where it is asked for). */
  readonly queueRows: number
  /** Rows that one batch takes at most, where a model could take more. */
  readonly maxBatchRows?: number | undefined
  /** Milliseconds for which rows may be held back so that others can join their batch; without it no row is. */
  readonly batchDelay?: number | undefined
  /** Seconds between two looks at the folder of models, whose changes are followed; without it they are not. */
  readonly watchSeconds?: number | undefined
  /** Forces a backend; without it the fastest that runs here. */
  readonly backend?: string | undefined
  /** Pixels of an image file beyond which it is refused before anything is decoded. */
  readonly maxPixels: number
  /** The model that answers where a request names none and several are loaded. */
  readonly defaultModel?: string | undefined
  readonly observer: Observer
  readonly log: Log
  /** Called once when the last worker has died and none can start: the service will never answer again. */
  readonly onDead?: ((cause: unknown) => void) | undefined
}

/** Everything that HTTP needs of serving. */
export interface Service {
  readonly backend: Backend
  /** Loaded models, by name, then version ascending. There may be none, once they have been unloaded. */
  models(): readonly ServedModel[]
  /**
   * @param name without it: the only model, else the configured default
   * @param version without it: the highest
   * @throws MODEL_UNKNOWN, VERSION_UNKNOWN, MODEL_AMBIGUOUS (its detail names the models)
   */
  find(name?: string, version?: number): ServedModel
  /**
   * One answer a row, in the order of the rows. A bad image fails its own row only. Where the request's model has been
   * swapped meanwhile, its successor may answer.
   * @throws MODEL_UNKNOWN (it was unloaded), QUEUE_FULL, REQUEST_TOO_LARGE_FOR_QUEUE, DEADLINE_EXCEEDED, NOT_READY, SHUTTING_DOWN, MEMBERS_OUT_OF_RANGE,
   *   BASELINE_ABSENT, TENSOR_INVALID (there is no such layer), CLIENT_GONE, WORKER_LOST
   */
  predict(request: PredictRequest): Promise<readonly RowAnswer[]>
  /**
   * Whole seconds, 1 or more, after which to ask again where the model's queue has no room for a single row at this
   * moment; 0 where it has. What costs so little to ask can be asked before a request is read.
   */
  secondsToRoom(model: ServedModel): number
  state(): ServiceState
  /** Every version that the models folder holds, and those that were loaded from it and are there no more; by name, then version. */
  index(): Promise<readonly RepositoryEntry[]>
  /**
   * Makes what is served of a model equal to its folder: loads what is new there, swaps what has changed, forgets what is
   * gone. What it replaces answers until every worker has verified the successor, and then the successor does, at once;
   * no request fails by that. A version that is broken leaves the one of the same number in service, and stops no other.
   * Of several changes at a time each waits for the one before.
   *
   * @throws MODEL_UNKNOWN (there is no such folder), SHUTTING_DOWN, WORKER_LOST, and what the first broken version was
   *   refused with
   */
  load(name: string): Promise<void>
  /**
   * Takes every version of a model out of service at once; resolves when all that was admitted has been answered, and
   * workers and memory have let go.
   *
   * @throws MODEL_UNKNOWN (none of them is loaded), SHUTTING_DOWN
   */
  unload(name: string): Promise<void>
  /** Takes no new rows, answers those it has, then ends the workers. Idempotent. */
  close(): Promise<void>
}
