import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

/** Files that go elsewhere after an error, before the decoder is opened anew: opening costs as much as many small images. */
const restingFiles = 64

/**
 * A decoder in WebAssembly, opened when a first file needs it, and given up after any error: what it had allocated by
 * then is lost, and what a hostile file may have written into its memory must not meet the next one.
 */
export class WasmDecoder<Instance> {
  readonly #file: string
  readonly #instantiate: (module: WebAssembly.Module) => Instance
  #module: WebAssembly.Module | null = null
  #instance: Instance | null = null
  #resting = 0

  /** @param file the compiled decoder, as a package exports it */
  constructor(file: string, instantiate: (module: WebAssembly.Module) => Instance) {
    this.#file = file
    this.#instantiate = instantiate
  }

  /** @returns null where the decoder rests, or gave an error, of whatever kind: it never has the last word on a file */
  use<Result>(decode: (instance: Instance) => Result): Result | null {
    if (this.#resting > 0) {
      this.#resting--
      return null
    }
    this.#instance ??= this.#open()
    try {
      return decode(this.#instance)
    } catch {
      this.#instance = null
      this.#resting = restingFiles
      return null
    }
  }

  #open(): Instance {
    this.#module ??= new WebAssembly.Module(
      new Uint8Array(readFileSync(createRequire(import.meta.url).resolve(this.#file))),
    )
    return this.#instantiate(this.#module)
  }
}
