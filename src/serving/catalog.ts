import { XnordError } from '../errors.ts'
import type { ServedModel } from './types.ts'

/** What is loaded, found by name and version: the only way from a request's words to a model. Immutable. */
export class Catalog {
  /** By name, then version ascending. */
  readonly models: readonly ServedModel[]
  readonly #versions: ReadonlyMap<string, readonly ServedModel[]>
  readonly #defaultModel: string | undefined

  constructor(models: readonly ServedModel[], defaultModel: string | undefined) {
    this.models = [...models].sort(byNameAndVersion)
    this.#defaultModel = defaultModel
    const versions = new Map<string, ServedModel[]>()
    for (const model of this.models) {
      const others = versions.get(model.name)
      if (others === undefined) versions.set(model.name, [model])
      else others.push(model)
    }
    this.#versions = versions
  }

  /**
   * @param name without it: the only model, else the default
   * @param version without it: the highest
   * @throws MODEL_UNKNOWN, VERSION_UNKNOWN, MODEL_AMBIGUOUS
   */
  find(name: string | undefined, version: number | undefined): ServedModel {
    const wanted = name ?? this.#nameless()
    const versions = this.#versions.get(wanted)
    if (versions === undefined) {
      throw new XnordError(
        'MODEL_UNKNOWN',
        `No model ${quote(wanted)} is loaded; there are: ${this.#names()}.`,
      )
    }
    if (version === undefined) return versions.at(-1)!
    const model = versions.find(candidate => candidate.version === version)
    if (model === undefined) {
      const there = versions.map(candidate => candidate.version).join(', ')
      throw new XnordError(
        'VERSION_UNKNOWN',
        `Of ${wanted} there are the versions: ${there}; not ${version}.`,
      )
    }
    return model
  }

  #nameless(): string {
    if (this.#versions.size === 0) throw new XnordError('MODEL_UNKNOWN', 'No model is loaded.')
    if (this.#versions.size === 1) return this.models[0].name
    if (this.#defaultModel !== undefined) return this.#defaultModel
    throw new XnordError('MODEL_AMBIGUOUS', `Name one of: ${this.#names()}.`)
  }

  #names(): string {
    if (this.#versions.size === 0) return 'none'
    return [...this.#versions.keys()].join(', ')
  }
}

type Named = Pick<ServedModel, 'name' | 'version'>

export function byNameAndVersion(left: Named, right: Named): number {
  if (left.name !== right.name) return left.name < right.name ? -1 : 1
  return left.version - right.version
}

/** A name from a request, short and visible whatever it holds. */
export function quote(name: string): string {
  return JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}…` : name)
}
