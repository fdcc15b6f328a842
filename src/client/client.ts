/** A client of xnord's HTTP interface for Node and browsers: fetch, and nothing else. docs/client.md shows it. */
import type { Answer, Comparison, Model, PredictAnswers, RepositoryEntry } from './answers.ts'
import { RequestError } from './error.ts'
import { type Call, type ClientOptions, createExchange, readJson, unreadable } from './exchange.ts'
import {
  type ImageTensor,
  type InferAnswer,
  type InferOptions,
  readInfer,
  type StandardOutputs,
  writeInfer,
} from './tensors.ts'

export type {
  Answer,
  BaselinePrediction,
  ClassEntry,
  Classification,
  Comparison,
  Model,
  ModelVersion,
  PredictAnswers,
  Prediction,
  RepositoryEntry,
  RowError,
  Uncertainty,
} from './answers.ts'
export type { ClientOptions } from './exchange.ts'
export type {
  ByteTensor,
  FloatTensor,
  ImageTensor,
  InferAnswer,
  InferOptions,
  OutputRequest,
  StandardOutputs,
  Tensor,
  TextTensor,
} from './tensors.ts'
export { RequestError }

/** A PNG, JPEG or WebP file, as it is. */
export type ImageFile = Blob | Uint8Array<ArrayBuffer>

/** One file or several, or rows of pixels in the model's own shape, row after row without gaps. */
export type Images = ImageFile | readonly ImageFile[] | { readonly pixels: Uint8Array<ArrayBuffer> }

export interface CallOptions {
  /** Ends the call, which then rejects with the signal's reason; rows that wait in the server's queue leave it. */
  readonly signal?: AbortSignal
}

export interface CompareOptions extends CallOptions {
  /** Without it the only model, else the server's default one. */
  readonly model?: string
  /** Without it the highest. */
  readonly version?: number
  /** How many of the most probable classes are listed; without it 5, or all where there are fewer. */
  readonly top?: number
  /** How many members of the discrete network answer; without it as many as the model states. */
  readonly members?: number
  /** Milliseconds from the receipt of the request after which nobody waits for the answer. */
  readonly deadline?: number
}

export interface PredictOptions<Network extends keyof PredictAnswers = 'discrete'> extends CompareOptions {
  /** Who answers; without it the discrete network. Its float twin, `baseline`, takes no `members`. */
  readonly network?: Network
}

export interface IndexOptions extends CallOptions {
  /** Only what is served. */
  readonly ready?: boolean
}

/**
 * Every call rejects with RequestError where there is no answer to what it asked, and with the reason of its signal
 * where that was aborted.
 */
export interface Client {
  /** Classifies images by the discrete network, or by its float twin. */
  predict<Network extends keyof PredictAnswers = 'discrete'>(
    images: Images,
    options?: PredictOptions<Network>,
  ): Promise<PredictAnswers[Network]>
  /** Classifies images by the discrete network and by its float twin, side by side. */
  compare(images: Images, options?: CompareOptions): Promise<Answer<Comparison>>
  /** The models that are served. */
  models(options?: CallOptions): Promise<readonly Model[]>
  model(name: string, options?: CallOptions): Promise<Model>
  /** Tensors in and out by the Open Inference Protocol, in binary. */
  infer<Name extends string = keyof StandardOutputs>(
    input: ImageTensor,
    options: InferOptions<Name>,
  ): Promise<InferAnswer<Name>>
  /** Whether the process answers. */
  live(options?: CallOptions): Promise<boolean>
  /** Whether requests should be sent there: false while the server starts, ends, or cannot be reached. */
  ready(options?: CallOptions): Promise<boolean>
  readonly repository: {
    /** Every version in the models folder, and what was served and is no longer there. */
    index(options?: IndexOptions): Promise<readonly RepositoryEntry[]>
    /** Loads what is new or changed of a model. With a key for administration only. */
    load(name: string, options?: CallOptions): Promise<void>
    /** Takes a model out of service. With a key for administration only. */
    unload(name: string, options?: CallOptions): Promise<void>
  }
}

/** @throws TypeError if the address or the key cannot be one */
export function createClient(options: ClientOptions): Client {
  const exchange = createExchange(options)

  async function ask<Body>(call: Call): Promise<Body> {
    const reply = await exchange(call)
    try {
      return readJson(reply.bytes) as Body
    } catch (cause) {
      throw unreadable(reply, cause)
    }
  }

  /** An answer that says no, and no answer, come to the same for who asks whether to send requests. */
  async function isWell(check: 'live' | 'ready', { signal }: CallOptions): Promise<boolean> {
    try {
      await exchange({ path: ['v2', 'health', check], signal, retries: 0 })
      return true
    } catch (error) {
      if (error instanceof RequestError && unwell.has(error.status)) return false
      throw error
    }
  }

  return {
    predict: (images, options = {}) => ask(classify('predict', images, options)),
    compare: (images, options = {}) => ask(classify('compare', images, options)),
    models: async ({ signal } = {}) =>
      (await ask<{ readonly models: readonly Model[] }>({ path: ['models'], signal })).models,
    model: (name, { signal } = {}) => ask({ path: ['models', name], signal }),
    infer: async (input, options) => readInfer(await exchange(writeInfer(input, options))),
    live: (options = {}) => isWell('live', options),
    ready: (options = {}) => isWell('ready', options),
    repository: {
      index: ({ ready, signal } = {}) => ask(ofRepository(['index'], { ready }, signal)),
      load: async (name, { signal } = {}) =>
        void (await exchange(ofRepository(['models', name, 'load'], {}, signal))),
      unload: async (name, { signal } = {}) =>
        void (await exchange(ofRepository(['models', name, 'unload'], {}, signal))),
    },
  }
}

/** No answer, or one that says no. */
const unwell: ReadonlySet<number | null> = new Set([null, 503])

function classify(
  path: 'predict' | 'compare',
  images: Images,
  { model, version, top, members, deadline, network, signal }: PredictOptions<keyof PredictAnswers>,
): Call {
  const call = {
    method: 'POST',
    path: [path],
    query: { model, version, top, members, deadline, network },
    signal,
  } as const
  if ('pixels' in images) {
    return { ...call, headers: { 'content-type': 'application/octet-stream' }, body: images.pixels }
  }
  const body = new FormData()
  for (const image of 'length' in images && !(images instanceof Uint8Array) ? images : [images]) {
    body.append('file', image instanceof Uint8Array ? new Blob([image]) : image)
  }
  return { ...call, body }
}

function ofRepository(path: readonly string[], body: object, signal: AbortSignal | undefined): Call {
  return {
    method: 'POST',
    path: ['v2', 'repository', ...path],
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal,
  }
}
