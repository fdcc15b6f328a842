import type { RowError } from './answers.ts'

export interface RequestErrorOptions extends ErrorOptions {
  readonly status?: number
  readonly title?: string
  readonly retryAfter?: number | null
  readonly requestId?: string | null
  readonly rows?: readonly RowError[]
}

/** A call that was not answered, or not with what it asked for. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
  /**
   * One of the server's codes, which docs/errors.md lists, or the client's own: `UNREACHABLE`, `TIMEOUT`,
   * `ANSWER_UNREADABLE`.
   */
  readonly code: string
  /** Of the answer; null where none came. */
  readonly status: number | null
  /** What the code means; the code itself where the server does not say, as below `/v2`. */
  readonly title: string
  /** What is wrong this time. */
  readonly detail: string
  /** Seconds after which the same call may succeed; null where the server names none. */
  readonly retryAfter: number | null
  /** The id under which the server's log has the request; null where none came back. */
  readonly requestId: string | null
  /** Where each of several images failed: their errors, in their order. */
  readonly rows: readonly RowError[]

  constructor(code: string, detail: string, options: RequestErrorOptions = {}) {
    const { status = null, title = code, retryAfter = null, requestId = null, rows = [] } = options
    super(`${title}: ${detail}`, options)
    this.code = code
    this.status = status
    this.title = title
    this.detail = detail
    this.retryAfter = retryAfter
    this.requestId = requestId
    this.rows = rows
  }
}
