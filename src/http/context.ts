import type { Config } from '../config.ts'
import type { ErrorCode } from '../errors.ts'
import type { RowTimes, ServedModel, Service } from '../serving/types.ts'
import type { HeldBytes } from './held-bytes.ts'
import type { Metrics } from './metrics.ts'
import type { KeyHooks } from './plugins/keys.ts'
import type { Statistics } from './statistics.ts'

/** What the routes work with. */
export interface HttpContext {
  readonly service: Service
  readonly config: Config
  readonly metrics: Metrics
  readonly statistics: Statistics
  readonly heldBytes: HeldBytes
  readonly keys: KeyHooks
  /** True from the first signal to end: readiness is off, and all else goes on. */
  readonly draining: () => boolean
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The model that answers, from when it is found; what metrics label the request with. */
    model: ServedModel | null
    /** Of the trace that its span belongs to; null where it has none. */
    traceId: string | null
    /** Which of the configured keys it came with, whether or not one is asked for; null where with none of them. */
    keyNumber: number | null
    /** Milliseconds on the clock of `performance.now()` at which its headers had arrived. */
    receivedAt: number
    /** Rows that were asked about; null where it did not come to that. */
    rows: number | null
    /** The longest of each stage over its rows; null where no row was answered. */
    stages: RowTimes | null
    /** Milliseconds that the writing of its answer took; null where none was written. */
    encoding: number | null
    /** Of the error that it was answered with. */
    code: ErrorCode | null
  }
}
