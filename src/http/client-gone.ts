import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { GoneSignal } from '../serving/types.ts'

/**
 * Aborted when the connection closes before the answer has left. (`request.signal` is aborted as soon as a body has
 * been read, so it cannot tell.)
 */
export function clientGone({ raw }: FastifyReply): GoneSignal {
  return new Connection(raw)
}

/** A class, since closures over the response let several times as much survive V8's young collections of garbage. */
class Connection implements GoneSignal {
  aborted: boolean
  readonly #response: ServerResponse
  readonly #listeners: (() => void)[] = []

  constructor(response: ServerResponse) {
    this.#response = response
    this.aborted = response.destroyed
    response.on('close', () => this.#closed())
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.push(listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const index = this.#listeners.indexOf(listener)
    if (index >= 0) this.#listeners.splice(index, 1)
  }

  #closed(): void {
    if (this.#response.writableFinished) return
    this.aborted = true
    // Whoever is told may stop listening.
    for (const listener of [...this.#listeners]) listener()
  }
}
