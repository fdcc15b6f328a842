import { asXnordError, XnordError } from '../errors.ts'
import { announceBackend, type LoadedBackend, loadBackend } from './backend.ts'
import { Catalog } from './catalog.ts'
import { Dispatcher } from './dispatcher.ts'
import { type LoadedModel, loadModel } from './model.ts'
import { WorkerPool } from './pool.ts'
import { findVersions } from './repository.ts'
import type {
  PredictRequest,
  RowAnswer,
  ServedModel,
  Service,
  ServiceOptions,
  ServiceState,
} from './types.ts'

/** Milliseconds in which `close` answers what was admitted. */
const drainLimit = 10_000

/**
 * Loads the models, starts the workers, and resolves when every worker has replayed the check vectors of every model. A
 * version that is broken is logged, with its path and code, and does not stop the others.
 *
 * @throws CONFIGURATION_INVALID (a backend or default model that is not there), MODELS_MISSING (nothing can be served)
 */
export async function createService(options: ServiceOptions): Promise<Service> {
  const { models: folder, workers, maxPixels, defaultModel, log, onDead } = options
  const choice = await loadBackend(options.backend)
  announceBackend(choice, workers, log)
  const { backend } = choice
  const pool = new WorkerPool({ workers, backend, maxPixels, log, onDead })
  try {
    const loaded = await openModels(options, backend, pool)
    if (loaded.size === 0) {
      throw new XnordError('MODELS_MISSING', `${folder} holds no model that can be served.`)
    }
    const catalog = new Catalog([...loaded.keys()], defaultModel)
    if (defaultModel !== undefined && !catalog.models.some(model => model.name === defaultModel)) {
      throw new XnordError(
        'CONFIGURATION_INVALID',
        `The default model is ${JSON.stringify(defaultModel)}, and no model of this name can be served.`,
      )
    }
    return new LoadedService(options, backend, pool, catalog, loaded)
  } catch (thrown) {
    await pool.close()
    throw thrown
  }
}

async function openModels(
  { models: folder, workers, log, observer }: ServiceOptions,
  backend: LoadedBackend,
  pool: WorkerPool,
): Promise<ReadonlyMap<ServedModel, LoadedModel>> {
  const loaded = new Map<ServedModel, LoadedModel>()
  // One after the other: the files of all models at once may not fit into memory.
  for (const found of await findVersions(folder, log)) {
    const { name: model, version, path } = found
    try {
      const candidate = await loadModel(found, backend.name, workers, log)
      await pool.open(candidate.spec)
      loaded.set(candidate.served, candidate)
      observer.loaded(candidate.served)
      log.info({ model, version, digest: candidate.served.digest }, 'model loaded')
    } catch (thrown) {
      const error = asXnordError(thrown)
      log.error({ model, version, path, code: error.code, err: error }, `model refused: ${error.message}`)
    }
  }
  return loaded
}

class LoadedService implements Service {
  readonly backend: Service['backend']
  readonly #pool: WorkerPool
  readonly #catalog: Catalog
  readonly #loaded: ReadonlyMap<ServedModel, LoadedModel>
  readonly #dispatcher: Dispatcher
  #closed: Promise<void> | null = null

  constructor(
    options: ServiceOptions,
    backend: LoadedBackend,
    pool: WorkerPool,
    catalog: Catalog,
    loaded: ReadonlyMap<ServedModel, LoadedModel>,
  ) {
    this.backend = backend.name
    this.#pool = pool
    this.#catalog = catalog
    this.#loaded = loaded
    this.#dispatcher = new Dispatcher({ ...options, pool })
  }

  models(): readonly ServedModel[] {
    return this.#catalog.models
  }

  find(name?: string, version?: number): ServedModel {
    return this.#catalog.find(name, version)
  }

  async predict(request: PredictRequest): Promise<readonly RowAnswer[]> {
    const { model, members, baseline } = request
    const loaded = this.#loaded.get(model)
    if (loaded === undefined)
      throw new XnordError('MODEL_UNKNOWN', `${model.name} is not a model of this service.`)
    if (!Number.isInteger(members) || members < 1 || members > model.members) {
      throw new XnordError(
        'MEMBERS_OUT_OF_RANGE',
        `${model.name} has 1 to ${model.members} members, not ${members}.`,
      )
    }
    if (baseline && !model.hasBaseline) {
      throw new XnordError('BASELINE_ABSENT', `${model.name} version ${model.version} has no baseline.`)
    }
    return this.#dispatcher.predict(loaded, request)
  }

  state(): ServiceState {
    return {
      ready: this.#dispatcher.ready,
      workers: this.#pool.workers,
      busyWorkers: this.#pool.busyWorkers,
      queuedRows: this.#dispatcher.queuedRows,
      inFlightRows: this.#dispatcher.inFlightRows,
      busySeconds: this.#pool.busySeconds,
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#dispatcher.drain(drainLimit).then(() => this.#pool.close())
    return this.#closed
  }
}
