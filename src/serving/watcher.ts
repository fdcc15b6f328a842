import { asXnordError, errorTable } from '../errors.ts'
import { findVersions, signatureOf, silent } from './repository.ts'
import type { Log } from './types.ts'

export interface WatcherOptions {
  /** The folder of models. */
  readonly folder: string
  /** Between two looks. */
  readonly seconds: number
  readonly load: (name: string) => Promise<void>
  readonly unload: (name: string) => Promise<void>
  readonly log: Log
}

/** What a look finds: of each model that has a version, the signatures of all its versions. */
type Picture = ReadonlyMap<string, string>

/**
 * Looks at the models folder again and again, and has loaded what has changed since the last look, and unloaded what is
 * gone. It asks for the state of files instead of listening for events, which networked file systems do not send. What
 * is broken, since it is half copied perhaps, is tried again when it changes.
 */
export class Watcher {
  readonly #options: WatcherOptions
  #seen: Picture = new Map()
  #blind = false
  #stopped = false
  #timer: NodeJS.Timeout | undefined

  constructor(options: WatcherOptions) {
    this.#options = options
  }

  /** The first look, before anything is loaded, with which the next one is compared. */
  async start(): Promise<void> {
    this.#seen = (await this.#look()) ?? this.#seen
    this.#schedule()
  }

  /** A change that is under way goes on. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #schedule(): void {
    if (this.#stopped) return
    this.#timer = setTimeout(async () => {
      await this.#compare()
      this.#schedule()
    }, this.#options.seconds * 1000).unref()
  }

  async #compare(): Promise<void> {
    const { load, unload, log } = this.#options
    const picture = await this.#look()
    if (picture === null) return
    const seen = new Map(picture)
    for (const name of new Set([...this.#seen.keys(), ...picture.keys()])) {
      if (picture.get(name) === this.#seen.get(name) || this.#stopped) continue
      try {
        await (picture.has(name) ? load(name) : unload(name))
      } catch (thrown) {
        const { code, message } = asXnordError(thrown)
        log.warn({ model: name, code }, `a change of the models folder was not followed: ${message}`)
        // The files are not to blame: at the next look it may succeed.
        if (errorTable[code].group === 'service') seen.set(name, '')
      }
    }
    this.#seen = seen
  }

  /** Null where nothing can be seen: no reason to unload everything. An empty folder is one whose volume is not mounted. */
  async #look(): Promise<Picture | null> {
    const { folder, log } = this.#options
    const signatures = new Map<string, string>()
    try {
      for (const found of await findVersions(folder, silent)) {
        const signature = await signatureOf(found)
        if (signature === null) continue
        const before = signatures.get(found.name) ?? ''
        signatures.set(found.name, `${before}/${found.version} ${signature}`)
      }
    } catch (err) {
      if (!this.#blind) log.warn({ path: folder, err }, 'the models folder cannot be watched')
      this.#blind = true
      return null
    }
    const vanished = signatures.size === 0 && this.#seen.size > 0
    if (vanished && !this.#blind)
      log.warn({ path: folder }, 'the models folder is empty: all goes on as it was')
    this.#blind = vanished
    return vanished ? null : signatures
  }
}
