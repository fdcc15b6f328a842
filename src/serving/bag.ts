/** Where an item lies in its bag. */
export interface Place<Item> {
  readonly item: Item
  index: number
}

/**
 * What is under way, in no order. V8's `Set` leaves a table behind whenever it has been filled, which holds what was in
 * it then, and the next table: once one of them is old, young collections keep all that came after it. Where things come
 * and go with each request, that promotes one of every few requests.
 */
export class Bag<Item> {
  readonly #places: Place<Item>[] = []

  get size(): number {
    return this.#places.length
  }

  /** @returns what removes it */
  add(item: Item): Place<Item> {
    const place = { item, index: this.#places.length }
    this.#places.push(place)
    return place
  }

  /** @param place of an item that is there still */
  remove({ index }: Place<Item>): void {
    const last = this.#places.pop()!
    if (index === this.#places.length) return
    last.index = index
    this.#places[index] = last
  }

  /** Of this moment, whatever comes and goes meanwhile. */
  items(): readonly Item[] {
    return this.#places.map(({ item }) => item)
  }
}
