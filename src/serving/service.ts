import { XnordError } from '../errors.ts'
import { announceBackend, loadBackend } from './backend.ts'
import { gatherTurn } from './batcher.ts'
import { Dispatcher } from './dispatcher.ts'
import { Holders } from './holders.ts'
import { Library } from './library.ts'
import type { LoadedModel } from './model.ts'
import { WorkerPool } from './pool.ts'
import type {
  Log,
  PredictRequest,
  RepositoryEntry,
  RowAnswer,
  ServedModel,
  Service,
  ServiceOptions,
  ServiceState,
} from './types.ts'
import { Watcher } from './watcher.ts'

/** Milliseconds in which `close` answers what was admitted. */
const drainLimit = 10_000

/**
 * Loads the models, starts the workers, and resolves when every worker has replayed the check vectors of every model. A
 * version that is broken is logged, with its path and code, and does not stop the others.
 *
 * @throws CONFIGURATION_INVALID (a backend or default model that is not there), MODELS_MISSING (nothing can be served)
 */
export async function createService(options: ServiceOptions): Promise<Service> {
  const { models: folder, workers, maxPixels, defaultModel, observer, log, onDead } = options
  const { batchDelay = 0, maxBatchRows = Number.POSITIVE_INFINITY, watchSeconds = 0 } = options
  const choice = await loadBackend(options.backend)
  announceBackend(choice, workers, log)
  const { backend } = choice
  const pool = new WorkerPool({ workers, backend, maxPixels, log, observer, onDead })
  const holders = new Holders<LoadedModel>()
  const dispatcher = new Dispatcher({ ...options, batchDelay, gather: gatherTurn, pool, holders })
  const library = new Library({
    folder,
    backend: backend.name,
    defaultModel,
    maxBatchRows,
    pool,
    occupy: task => dispatcher.occupy(task),
    holders,
    observer,
    log,
  })
  const watcher = watchSeconds > 0 ? watch(library, folder, watchSeconds, log) : null
  try {
    await watcher?.start()
    await library.start()
    const { models } = library.catalog
    if (models.length === 0) {
      throw new XnordError('MODELS_MISSING', `${folder} holds no model that can be served.`)
    }
    if (defaultModel !== undefined && !models.some(model => model.name === defaultModel)) {
      throw new XnordError(
        'CONFIGURATION_INVALID',
        `The default model is ${JSON.stringify(defaultModel)}, and no model of this name can be served.`,
      )
    }
    return new LibraryService(backend.name, pool, dispatcher, library, watcher)
  } catch (thrown) {
    watcher?.stop()
    await pool.close()
    throw thrown
  }
}

function watch(library: Library, folder: string, seconds: number, log: Log): Watcher {
  return new Watcher({
    folder,
    seconds,
    load: name => library.load(name),
    unload: name => library.unload(name),
    log,
  })
}

class LibraryService implements Service {
  readonly backend: Service['backend']
  readonly #pool: WorkerPool
  readonly #dispatcher: Dispatcher
  readonly #library: Library
  readonly #watcher: Watcher | null
  #closed: Promise<void> | null = null

  constructor(
    backend: Service['backend'],
    pool: WorkerPool,
    dispatcher: Dispatcher,
    library: Library,
    watcher: Watcher | null,
  ) {
    this.backend = backend
    this.#pool = pool
    this.#dispatcher = dispatcher
    this.#library = library
    this.#watcher = watcher
  }

  models(): readonly ServedModel[] {
    return this.#library.catalog.models
  }

  find(name?: string, version?: number): ServedModel {
    return this.#library.catalog.find(name, version)
  }

  async predict(request: PredictRequest): Promise<readonly RowAnswer[]> {
    const loaded = this.#library.resolve(request.model)
    const { served: model } = loaded
    const { members, networks, layers = [] } = request
    const isOutOfRange = !Number.isInteger(members) || members < 1 || members > model.members
    if (networks !== 'baseline' && isOutOfRange) {
      throw new XnordError(
        'MEMBERS_OUT_OF_RANGE',
        `${model.name} has 1 to ${model.members} members, not ${members}.`,
      )
    }
    if (networks !== 'discrete' && !model.hasBaseline) {
      throw new XnordError('BASELINE_ABSENT', `${model.name} version ${model.version} has no baseline.`)
    }
    const unknown = layers.find(name => !model.layers.some(layer => layer.name === name))
    if (unknown !== undefined)
      throw new XnordError('TENSOR_INVALID', `${model.name} has no layer ${JSON.stringify(unknown)}.`)
    return this.#dispatcher.predict(loaded, request)
  }

  secondsToRoom(model: ServedModel): number {
    return this.#dispatcher.secondsToRoom(this.#library.resolve(model))
  }

  state(): ServiceState {
    return {
      ready: this.#dispatcher.ready,
      workers: this.#pool.workers,
      busyWorkers: this.#pool.busyWorkers,
      queuedRows: () =>
        new Map([...this.models().map(model => [model, 0] as const), ...this.#dispatcher.queuedRowsByModel]),
      inFlightRows: this.#dispatcher.inFlightRows,
      busySeconds: this.#pool.busySeconds,
    }
  }

  index(): Promise<readonly RepositoryEntry[]> {
    return this.#library.index()
  }

  load(name: string): Promise<void> {
    return this.#library.load(name)
  }

  unload(name: string): Promise<void> {
    return this.#library.unload(name)
  }

  close(): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  async #end(): Promise<void> {
    this.#watcher?.stop()
    await this.#dispatcher.drain(drainLimit)
    await this.#library.close()
    await this.#pool.close()
  }
}
