import type { Backend } from '../engine/kernels/kernels.ts'
import { asXnordError, XnordError } from '../errors.ts'
import { byNameAndVersion, Catalog, quote } from './catalog.ts'
import { collectGarbage } from './garbage.ts'
import type { Holders } from './holders.ts'
import { loadApart } from './loading.ts'
import type { ModelSpec } from './messages.ts'
import { type LoadedModel, loadModel } from './model.ts'
import type { WorkerPool } from './pool.ts'
import { type FoundVersion, findVersions, findVersionsOf, signatureOf, silent } from './repository.ts'
import type { Log, Observer, RepositoryEntry, ServedModel } from './types.ts'

export interface LibraryOptions {
  /** Where the models lie. */
  readonly folder: string
  readonly backend: Backend
  readonly defaultModel: string | undefined
  /** Rows that one batch takes at most, where a model could take more. */
  readonly maxBatchRows: number
  readonly pool: Pick<WorkerPool, 'workers' | 'threads' | 'open' | 'release'>
  /** Does a task that takes a worker from the batches meanwhile. */
  readonly occupy: (task: () => Promise<void>) => Promise<void>
  /** Who computes or will compute with a model. */
  readonly holders: Holders<LoadedModel>
  readonly observer: Pick<Observer, 'loaded' | 'unloaded'>
  readonly log: Log
}

/** One name and version, from the first time that it was loaded, or that its loading was tried. */
interface Shelf {
  readonly name: string
  readonly version: number
  /** What answers; null before the first load, and after an unload. */
  current: LoadedModel | null
  /** That of the files from which `current` was read. */
  signature: string | null
  change: 'LOADING' | 'UNLOADING' | null
  /** Of a refusal, or `unloaded`; else empty. */
  reason: string
}

const unloaded = 'unloaded'

/** The models in memory, and their coming and going. One change at a time; others wait for it. */
export class Library {
  readonly #options: LibraryOptions
  readonly #shelves = new Map<string, Shelf>()
  /** What can compute: what is in the catalog, and what was taken out of it and is needed still. */
  readonly #loaded = new Map<ServedModel, LoadedModel>()
  /** What was in the catalog once. */
  readonly #retired = new WeakSet<ServedModel>()
  readonly #leaving = new Set<Promise<void>>()
  #catalog: Catalog
  #lastChange: Promise<void> = Promise.resolve()
  readonly #ending = new AbortController()

  constructor(options: LibraryOptions) {
    this.#options = options
    this.#catalog = new Catalog([], options.defaultModel)
  }

  /** What answers at this moment. */
  get catalog(): Catalog {
    return this.#catalog
  }

  /**
   * What computes for a model that was found in the catalog, now or earlier: itself, as long as it is there, else its
   * successor.
   *
   * @throws MODEL_UNKNOWN
   */
  resolve(model: ServedModel): LoadedModel {
    const successor = this.#retired.has(model) ? this.#shelves.get(keyOf(model))?.current : null
    const loaded = this.#loaded.get(model) ?? successor
    if (loaded) return loaded
    throw new XnordError('MODEL_UNKNOWN', `${model.name} version ${model.version} is not loaded any more.`)
  }

  /** Loads all that is in the folder, in all workers at once. What is broken is logged, and does not stop the others. */
  async start(): Promise<void> {
    // One after the other: the files of all models at once may not fit into memory.
    for (const found of await findVersions(this.#options.folder, this.#options.log)) {
      // The refusal is in the log and in the index.
      await this.#bring(found, 'at once').catch(() => undefined)
    }
  }

  /** See `Service`. */
  async index(): Promise<readonly RepositoryEntry[]> {
    const found = new Map(
      (await findVersions(this.#options.folder, silent)).map(version => [keyOf(version), version]),
    )
    const entries: RepositoryEntry[] = []
    for (const [key, { name, version, current, change, reason }] of this.#shelves) {
      const state = change ?? (current === null ? 'UNAVAILABLE' : 'READY')
      const isThere = found.delete(key) || reason === unloaded || state !== 'UNAVAILABLE'
      if (isThere) entries.push({ name, version, state, reason })
    }
    for (const { name, version } of found.values()) {
      entries.push({ name, version, state: 'UNAVAILABLE', reason: 'not loaded' })
    }
    return entries.sort(byNameAndVersion)
  }

  /** See `Service`. */
  load(name: string): Promise<void> {
    return this.#change(async () => {
      const { folder, log } = this.#options
      const found = await findVersionsOf(folder, name, log)
      const failures: unknown[] = []
      for (const version of found) {
        await this.#bring(version, 'in turn').catch((thrown: unknown) => failures.push(thrown))
      }
      const there = new Set(found.map(keyOf))
      void this.#takeOut(this.#shelvesOf(name).filter(shelf => !there.has(keyOf(shelf))))
      if (failures.length > 0) throw failures[0]
    })
  }

  /** See `Service`. */
  unload(name: string): Promise<void> {
    return this.#change(async () => {
      this.#requireOpen()
      const shelves = this.#shelvesOf(name)
      if (shelves.length === 0) throw new XnordError('MODEL_UNKNOWN', `No model ${quote(name)} is loaded.`)
      await this.#takeOut(shelves)
    })
  }

  /** Changes nothing more, and ends what is being loaded. All that was admitted must have been answered. */
  async close(): Promise<void> {
    this.#ending.abort()
    await this.#lastChange
    await Promise.all(this.#leaving)
  }

  #requireOpen(): void {
    if (this.#ending.signal.aborted)
      throw new XnordError('SHUTTING_DOWN', 'Nothing is loaded or unloaded any more.', { retryAfter: 1 })
  }

  #change(task: () => Promise<void>): Promise<void> {
    const change = this.#lastChange.then(task)
    // The error is for whoever asked for the change, not for the next one.
    this.#lastChange = change.catch(() => undefined)
    return change
  }

  /** Those of a name that answer. */
  #shelvesOf(name: string): readonly Shelf[] {
    return [...this.#shelves.values()].filter(shelf => shelf.name === name && shelf.current !== null)
  }

  /**
   * Puts a version of the folder on its shelf, unless it is there already.
   *
   * @param turns at once: nobody waits for an answer yet; in turn: the other workers, and this thread, go on meanwhile
   */
  async #bring(found: FoundVersion, turns: 'at once' | 'in turn'): Promise<void> {
    this.#requireOpen()
    const { backend, pool, log, maxBatchRows } = this.#options
    const { name: model, version, path } = found
    const shelf = this.#shelfOf(found)
    // Before the files are read: what changes meanwhile is seen at the next look.
    const signature = await signatureOf(found)
    if (shelf.current !== null && shelf.signature === signature) return
    shelf.change = 'LOADING'
    try {
      const { signal } = this.#ending
      const loading =
        turns === 'at once'
          ? loadModel(found, backend, pool.workers, log)
          : loadApart(found, backend, pool.workers, log, { signal })
      const candidate = capped(await loading, maxBatchRows)
      if (shelf.current === null || differ(candidate.served, shelf.current.served)) {
        await this.#open(candidate.spec, turns)
        this.#replace(shelf, candidate)
      }
      shelf.signature = signature
      shelf.reason = ''
    } catch (thrown) {
      const error = asXnordError(thrown)
      shelf.reason = `${error.code}: ${error.message}`
      log.error({ model, version, path, code: error.code, err: error }, `model refused: ${error.message}`)
      throw error
    } finally {
      shelf.change = null
    }
  }

  #shelfOf({ name, version }: FoundVersion): Shelf {
    const key = keyOf({ name, version })
    const shelf = this.#shelves.get(key) ?? {
      name,
      version,
      current: null,
      signature: '',
      change: null,
      reason: '',
    }
    this.#shelves.set(key, shelf)
    return shelf
  }

  /** The moment of a swap: what is found from now on is the new one. */
  #replace(shelf: Shelf, candidate: LoadedModel): void {
    const { log, observer } = this.#options
    const { current: old } = shelf
    const { name: model, version, digest } = candidate.served
    this.#loaded.set(candidate.served, candidate)
    shelf.current = candidate
    this.#refreshCatalog()
    observer.loaded(candidate.served)
    log.info({ model, version, digest }, old === null ? 'model loaded' : 'model swapped')
    if (old !== null) void this.#retire(old)
  }

  /** Nobody finds them from now on. Resolves when all of them have gone. */
  async #takeOut(shelves: readonly Shelf[]): Promise<void> {
    const old = shelves.map(shelf => {
      const { current } = shelf
      shelf.current = null
      shelf.change = 'UNLOADING'
      shelf.reason = unloaded
      return { shelf, current: current! }
    })
    this.#refreshCatalog()
    await Promise.all(
      old.map(async ({ shelf, current }) => {
        this.#options.log.info({ model: shelf.name, version: shelf.version }, 'model unloaded')
        await this.#retire(current)
        // It may be loading again.
        if (shelf.change === 'UNLOADING') shelf.change = null
      }),
    )
  }

  #refreshCatalog(): void {
    const current = [...this.#shelves.values()].flatMap(shelf => shelf.current?.served ?? [])
    this.#catalog = new Catalog(current, this.#options.defaultModel)
  }

  /** What has left the catalog goes when the last request on it has been answered. */
  async #retire(model: LoadedModel): Promise<void> {
    this.#options.observer.unloaded(model.served)
    this.#retired.add(model.served)
    const leaving = this.#leave(model)
    this.#leaving.add(leaving)
    await leaving
    this.#leaving.delete(leaving)
    // When nothing under way refers to it any more.
    setImmediate(collectGarbage)
  }

  async #leave(model: LoadedModel): Promise<void> {
    const { holders } = this.#options
    while (holders.has(model)) await holders.free(model)
    this.#loaded.delete(model.served)
    await this.#release(model.spec)
  }

  /**
   * Opens a model in every worker there is; one that takes the place of a dead one opens it when it is first asked.
   *
   * @param turns at once: nobody waits for an answer yet; in turn: the other workers go on answering meanwhile
   */
  async #open(spec: ModelSpec, turns: 'at once' | 'in turn'): Promise<void> {
    const { pool, occupy } = this.#options
    const open = (thread: number, slot: number) => occupy(() => pool.open({ model: spec, slot }, thread))
    try {
      if (turns === 'at once') await Promise.all(pool.threads.map(open))
      else for (const [slot, thread] of pool.threads.entries()) await open(thread, slot)
    } catch (thrown) {
      // Some workers may have accepted it.
      await this.#release(spec)
      throw thrown
    }
  }

  async #release({ id: model }: ModelSpec): Promise<void> {
    const { pool, occupy, log } = this.#options
    for (const thread of pool.threads) {
      try {
        await occupy(() => pool.release({ model }, thread))
      } catch (err) {
        // Who is dead holds nothing.
        log.warn({ err }, 'a worker could not be told to let go of a model')
      }
    }
  }
}

function keyOf({ name, version }: { readonly name: string; readonly version: number }): string {
  return `${name}/${version}`
}

function capped({ served, spec }: LoadedModel, maxBatchRows: number): LoadedModel {
  return { served: { ...served, maxRows: Math.min(served.maxRows, maxBatchRows) }, spec }
}

/** The digest covers the baseline's, but not whether it is there. */
function differ(left: ServedModel, right: ServedModel): boolean {
  return left.digest !== right.digest || left.hasBaseline !== right.hasBaseline
}
