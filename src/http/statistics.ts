import type { FastifyRequest } from 'fastify'
import type { Observer, ServedModel } from '../serving/types.ts'
import type { ModelStatistics } from './schemas/v2.ts'

/** How often something took its time, and how long all in all. */
interface Duration {
  count: number
  milliseconds: number
}

/** Of one version of a model, since the process started. */
interface Sums {
  readonly success: Duration
  readonly fail: Duration
  readonly queue: Duration
  readonly decode: Duration
  readonly compute: Duration
  readonly encode: Duration
  /** The computing of batches, by their rows. */
  readonly batches: Map<number, Duration>
  rows: number
  /** Milliseconds since 1970. */
  lastRequest: number
}

/**
 * What the statistics extension of the Open Inference Protocol tells: sums a version, from which clients take differences.
 * A version that is loaded again goes on counting.
 */
export class Statistics {
  readonly #versions = new Map<string, Sums>()
  readonly #models = new WeakMap<ServedModel, Sums>()

  /** Sees what an observer sees, and lets it see all of it. */
  observe(observer: Observer): Observer {
    return {
      ...observer,
      row: (model, times) => {
        observer.row(model, times)
        const sums = this.#sums(model)
        sums.decode.milliseconds += times.decode
        if (times.compute === null && times.baseline === null) return
        sums.compute.milliseconds += (times.compute ?? 0) + (times.baseline ?? 0)
        sums.rows++
      },
      batch: (model, batch) => {
        observer.batch(model, batch)
        const { batches } = this.#sums(model)
        const known = batches.get(batch.rows)
        if (known === undefined) batches.set(batch.rows, { count: 1, milliseconds: batch.compute })
        else add(known, batch.compute)
      },
    }
  }

  /** @param milliseconds from the receipt of the headers to the end of the answer */
  requestEnded(
    { model, stages, encoding }: Pick<FastifyRequest, 'model' | 'stages' | 'encoding'>,
    status: number,
    milliseconds: number,
  ): void {
    if (model === null) return
    const sums = this.#sums(model)
    sums.lastRequest = Date.now()
    if (status !== 200) {
      add(sums.fail, milliseconds)
      return
    }
    add(sums.success, milliseconds)
    add(sums.queue, stages?.queue ?? 0)
    add(sums.encode, encoding ?? 0)
    // Their milliseconds are those of the rows.
    sums.decode.count++
    sums.compute.count++
  }

  of(models: readonly ServedModel[]): readonly ModelStatistics[] {
    return models.map(model => {
      const sums = this.#sums(model)
      const batches = [...sums.batches].sort(([left], [right]) => left - right)
      return {
        name: model.name,
        version: String(model.version),
        last_inference: sums.lastRequest,
        inference_count: sums.rows,
        execution_count: batches.reduce((total, [, { count }]) => total + count, 0),
        inference_stats: {
          success: written(sums.success),
          fail: written(sums.fail),
          queue: written(sums.queue),
          compute_input: written(sums.decode),
          compute_infer: written(sums.compute),
          compute_output: written(sums.encode),
          cache_hit: none,
          cache_miss: none,
        },
        batch_stats: batches.map(([rows, duration]) => ({
          batch_size: rows,
          compute_input: none,
          compute_infer: written(duration),
          compute_output: none,
        })),
      }
    })
  }

  #sums(model: ServedModel): Sums {
    const known = this.#models.get(model)
    if (known !== undefined) return known
    const key = `${model.name}/${model.version}`
    const sums = this.#versions.get(key) ?? newSums()
    this.#versions.set(key, sums)
    this.#models.set(model, sums)
    return sums
  }
}

const none = { count: 0, ns: 0 } as const

const newDuration = (): Duration => ({ count: 0, milliseconds: 0 })

function newSums(): Sums {
  return {
    success: newDuration(),
    fail: newDuration(),
    queue: newDuration(),
    decode: newDuration(),
    compute: newDuration(),
    encode: newDuration(),
    batches: new Map(),
    rows: 0,
    lastRequest: 0,
  }
}

function add(duration: Duration, milliseconds: number): void {
  duration.count++
  duration.milliseconds += milliseconds
}

function written({ count, milliseconds }: Duration): { readonly count: number; readonly ns: number } {
  return { count, ns: Math.round(milliseconds * 1e6) }
}
