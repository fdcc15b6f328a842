/**
 * Every error that a caller or an operator can meet, by its stable code.
 *
 * `status` is the HTTP status where the error ends a request: 4xx is the caller's, 503 is ours and temporary,
 * 500 is a bug or a broken installation. Errors of the groups "model" and "start" end a load or the start; where the
 * load was asked for over HTTP, a file that is no model we can serve is 422. `docs/errors.md` is generated from this
 * table.
 */
export const errorTable = {
  // The request
  PARAMETER_INVALID: { status: 400, group: 'request', title: 'A parameter is not valid' },
  CONTENT_TYPE_UNSUPPORTED: { status: 415, group: 'request', title: 'The content type is not supported' },
  CONTENT_ENCODING_UNSUPPORTED: {
    status: 415,
    group: 'request',
    title: 'The content encoding is not supported',
  },
  BODY_MALFORMED: { status: 400, group: 'request', title: 'The request body cannot be read' },
  BODY_TOO_LARGE: {
    status: 413,
    group: 'request',
    title: 'The request body or one of its files is too large',
  },
  TOO_MANY_PARTS: { status: 413, group: 'request', title: 'The request has too many parts' },
  FILE_MISSING: { status: 400, group: 'request', title: 'The request holds no file' },
  TENSOR_INVALID: { status: 400, group: 'request', title: 'An inference tensor is not valid' },
  ANSWER_TOO_LARGE: { status: 400, group: 'request', title: 'The answer would be too large' },
  REQUEST_MALFORMED: { status: 400, group: 'request', title: 'The request is not valid HTTP' },
  REQUEST_TIMEOUT: { status: 408, group: 'request', title: 'The request took too long to arrive' },
  HEADERS_TOO_LARGE: { status: 431, group: 'request', title: 'The request has too many or too long headers' },
  ROUTE_UNKNOWN: { status: 404, group: 'request', title: 'There is nothing at this address' },
  METHOD_NOT_ALLOWED: { status: 405, group: 'request', title: 'The address does not take this method' },
  KEY_MISSING: { status: 401, group: 'request', title: 'The request has no key' },
  KEY_INVALID: { status: 401, group: 'request', title: 'The key of the request is not known' },
  RATE_LIMITED: { status: 429, group: 'request', title: 'Too many requests came in a second' },
  ADMINISTRATION_OFF: { status: 403, group: 'request', title: 'No key for administration is configured' },
  ADMINISTRATION_DENIED: { status: 403, group: 'request', title: 'The key is not one for administration' },
  MODEL_UNKNOWN: { status: 404, group: 'request', title: 'No model of this name is loaded' },
  VERSION_UNKNOWN: { status: 404, group: 'request', title: 'The model has no such version' },
  MODEL_AMBIGUOUS: {
    status: 400,
    group: 'request',
    title: 'Several models are loaded and the request names none',
  },
  MEMBERS_OUT_OF_RANGE: { status: 400, group: 'request', title: 'The model has fewer members' },
  BASELINE_ABSENT: { status: 404, group: 'request', title: 'The model has no baseline' },
  CLIENT_GONE: { status: 499, group: 'request', title: 'The client closed the connection before the answer' },

  // One image of a request
  IMAGE_EMPTY: { status: 400, group: 'image', title: 'The image is empty' },
  IMAGE_FORMAT_UNKNOWN: { status: 415, group: 'image', title: 'The file is not a PNG, JPEG or WebP image' },
  IMAGE_MALFORMED: { status: 422, group: 'image', title: 'The image is damaged or cut short' },
  IMAGE_TOO_LARGE: { status: 413, group: 'image', title: 'The image has too many pixels' },
  PIXELS_LENGTH: { status: 400, group: 'image', title: "Raw pixels do not have the model's length" },

  // The service, for the time being
  OVERLOADED: { status: 503, group: 'service', title: 'More arrives than can be read' },
  QUEUE_FULL: { status: 503, group: 'service', title: 'The queue is full' },
  REQUEST_TOO_LARGE_FOR_QUEUE: {
    status: 413,
    group: 'service',
    title: 'The request holds more rows than the queue can ever take',
  },
  UPLOADS_FULL: { status: 503, group: 'service', title: 'Too many bytes of requests are being held' },
  DEADLINE_EXCEEDED: { status: 503, group: 'service', title: 'The deadline passed before the answer' },
  NOT_READY: { status: 503, group: 'service', title: 'No worker is there to answer' },
  SHUTTING_DOWN: { status: 503, group: 'service', title: 'The service is shutting down' },
  WORKER_LOST: { status: 503, group: 'service', title: 'The worker died while it computed the answer' },
  INTERNAL: { status: 500, group: 'service', title: 'An error inside xnord: please report it' },

  // A model file
  MODEL_UNREADABLE: { status: 500, group: 'model', title: "The model's file cannot be read" },
  MODEL_TOO_LARGE: { status: 422, group: 'model', title: 'The model exceeds a limit of the format' },
  MODEL_HEADER_INVALID: { status: 422, group: 'model', title: "The model file's header is not valid" },
  MODEL_DIGEST_MISMATCH: { status: 422, group: 'model', title: 'The model file does not match its digest' },
  MODEL_GRAPH_INVALID: { status: 422, group: 'model', title: "The model's graph is not valid" },
  MODEL_TENSOR_INVALID: { status: 422, group: 'model', title: "One of the model's tensors is not valid" },
  MODEL_UNSUPPORTED: { status: 422, group: 'model', title: 'The model uses what this engine cannot run' },
  MODEL_CHECK_FAILED: {
    status: 500,
    group: 'model',
    title: "The backend does not reproduce the model's check vectors",
  },
  BASELINE_INVALID: { status: 500, group: 'model', title: "The model's baseline cannot be loaded" },

  // The start
  CONFIGURATION_INVALID: { status: 500, group: 'start', title: 'The configuration is not valid' },
  MODELS_MISSING: {
    status: 500,
    group: 'start',
    title: 'The models folder holds no model that can be served',
  },
  LISTEN_FAILED: { status: 500, group: 'start', title: 'The address cannot be listened on' },
} as const satisfies Record<string, ErrorEntry>

export type ErrorGroup = 'request' | 'image' | 'service' | 'model' | 'start'

export interface ErrorEntry {
  readonly status: number
  readonly group: ErrorGroup
  readonly title: string
}

export type ErrorCode = keyof typeof errorTable

/** An error as data: what crosses threads, where class and own properties of an Error would be lost. */
export interface ErrorData {
  readonly code: ErrorCode
  readonly detail: string
}

export interface XnordErrorOptions extends ErrorOptions {
  /** Seconds after which a retry is sensible; only with the statuses 429 and 503. */
  readonly retryAfter?: number
}

export class XnordError extends Error {
  override readonly name = 'XnordError'
  readonly code: ErrorCode
  readonly retryAfter: number | undefined

  /** @param detail one sentence on this occurrence, for the reader of the answer or of the log */
  constructor(code: ErrorCode, detail: string, options: XnordErrorOptions = {}) {
    super(detail, options)
    this.code = code
    this.retryAfter = options.retryAfter
  }

  get status(): number {
    return errorTable[this.code].status
  }

  get title(): string {
    return errorTable[this.code].title
  }

  get data(): ErrorData {
    return { code: this.code, detail: this.message }
  }
}

/** Any thrown value as an XnordError: what is not one is a bug, code INTERNAL, with the value as its cause. */
export function asXnordError(thrown: unknown): XnordError {
  if (thrown instanceof XnordError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new XnordError('INTERNAL', message, { cause: thrown })
}
