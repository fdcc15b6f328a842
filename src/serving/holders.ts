/** Who needs what still: counts the holders of things, and tells when the last one has let go. */
export class Holders<Thing extends object> {
  readonly #held = new Map<Thing, { count: number; readonly whenFree: (() => void)[] }>()

  /** @returns what lets go; to be called once */
  hold(thing: Thing): () => void {
    const held = this.#held.get(thing) ?? { count: 0, whenFree: [] }
    held.count++
    this.#held.set(thing, held)
    return () => {
      held.count--
      if (held.count > 0) return
      this.#held.delete(thing)
      for (const resolve of held.whenFree) resolve()
    }
  }

  has(thing: Thing): boolean {
    return this.#held.has(thing)
  }

  /** Resolves when nobody holds the thing; somebody may hold it again before whoever waits has noticed. */
  async free(thing: Thing): Promise<void> {
    const held = this.#held.get(thing)
    if (held !== undefined) await new Promise<void>(resolve => held.whenFree.push(resolve))
  }
}
