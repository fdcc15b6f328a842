/** The server's routes that the page uses. Addresses are relative: the page works under any path prefix. */
import type { Answer, Reading, Uncertainty } from './answer.ts'
import { currentKey } from './key.ts'

/** Of a model's version in `GET /models`, what the page needs. */
export interface Model {
  readonly name: string
  readonly version: number
  readonly input: { readonly height: number; readonly width: number; readonly channels: 1 | 3 }
  readonly labels: readonly string[]
  readonly members: number
  /** Whether it has a float twin. */
  readonly baseline: boolean
  readonly bytes: { readonly model: number; readonly baseline: number | null }
  /** Of one image and member, in 64-bit words. */
  readonly wordOperations: number
}

/** An image to ask about: a file as it is, or the pixels of a drawing in the model's shape. */
export type Image = File | Uint8Array<ArrayBuffer>

/** What went wrong, in words for the reader of the page. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly title: string
  /** The same question can have an answer later. */
  readonly temporary: boolean
  /** The server wants a key, or another one. */
  readonly needsKey: boolean

  constructor(title: string, detail: string, options: ProblemOptions = {}) {
    super(detail, options)
    this.title = title
    this.temporary = options.temporary ?? false
    this.needsKey = options.needsKey ?? false
  }
}

interface ProblemOptions extends ErrorOptions {
  readonly temporary?: boolean
  readonly needsKey?: boolean
}

/** Milliseconds after which the page stops waiting for an answer. */
const patience = 30_000

interface ModelsBody {
  readonly models: readonly { readonly name: string; readonly versions: readonly Omit<Model, 'name'>[] }[]
}

interface NetworkBody {
  readonly label: string
  readonly probability: number
  readonly top: readonly { readonly label: string; readonly probability: number }[]
}

interface DiscreteBody extends NetworkBody {
  readonly uncertainty: Uncertainty
}

interface ErrorBody {
  readonly code: string
  readonly title: string
  readonly detail: string
}

interface AnswerBody<Row> {
  readonly backend: string
  readonly predictions: readonly (Row | { readonly error: ErrorBody })[]
}

interface ComparedRow {
  readonly discrete: DiscreteBody & { readonly milliseconds: number }
  readonly baseline: NetworkBody & { readonly milliseconds: number }
}

/**
 * The loaded models, the highest version of each; none while the server is starting.
 * @throws Problem
 */
export async function listModels(): Promise<readonly Model[]> {
  const { models } = await request<ModelsBody>('models', {})
  return models.flatMap(({ name, versions }) => versions.slice(-1).map(version => ({ name, ...version })))
}

/**
 * What all members of the model say of an image, and its float twin beside them where it has one.
 * @throws Problem; the signal's reason when it was aborted
 */
export async function ask(model: Model, image: Image, signal: AbortSignal): Promise<Answer> {
  const query = new URLSearchParams({
    model: model.name,
    version: String(model.version),
    members: String(model.members),
    top: String(model.labels.length),
  })
  if (model.baseline) {
    const body = await request<AnswerBody<ComparedRow>>(`compare?${query}`, post(image), signal)
    const { discrete, baseline } = onlyRow(body)
    return {
      backend: body.backend,
      discrete: reading(discrete, discrete.milliseconds),
      uncertainty: discrete.uncertainty,
      baseline: reading(baseline, baseline.milliseconds),
    }
  }
  const body = await request<AnswerBody<DiscreteBody>>(`predict?${query}`, post(image), signal)
  const discrete = onlyRow(body)
  return {
    backend: body.backend,
    discrete: reading(discrete, null),
    uncertainty: discrete.uncertainty,
    baseline: null,
  }
}

function post(image: Image): RequestInit {
  if (!(image instanceof File)) {
    return { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: image }
  }
  const form = new FormData()
  form.append('file', image)
  return { method: 'POST', body: form }
}

function onlyRow<Row extends object>({ predictions }: AnswerBody<Row>): Row {
  const row = predictions[0]
  if (row === undefined) throw new Problem('The answer is empty', 'The server predicted nothing.')
  if ('error' in row) throw new Problem(row.error.title, row.error.detail)
  return row
}

function reading({ label, probability, top }: NetworkBody, milliseconds: number | null): Reading {
  return {
    label,
    probability,
    probabilities: new Map(top.map(entry => [entry.label, entry.probability])),
    milliseconds,
  }
}

async function request<Body>(address: string, init: RequestInit, signal?: AbortSignal): Promise<Body> {
  const timeout = AbortSignal.timeout(patience)
  try {
    const signals = signal === undefined ? [timeout] : [signal, timeout]
    const headers = new Headers(init.headers)
    const key = currentKey()
    if (key !== null) headers.set('authorization', `Bearer ${key}`)
    const response = await fetch(address, { ...init, headers, signal: AbortSignal.any(signals) })
    const body: unknown = await response.json()
    if (!response.ok) throw problemOf(response, body as Partial<ErrorBody>)
    return body as Body
  } catch (error) {
    if (error instanceof Problem) throw error
    signal?.throwIfAborted()
    const [title, detail] = failure(error, timeout)
    throw new Problem(title, detail, { cause: error, temporary: true })
  }
}

function problemOf({ status }: Response, { code, title, detail }: Partial<ErrorBody>): Problem {
  if (code === 'KEY_MISSING')
    return new Problem('A key is needed', 'Whoever runs this server gives it out.', { needsKey: true })
  if (code === 'KEY_INVALID')
    return new Problem('The key is not known', 'This server takes others.', { needsKey: true })
  return new Problem(title ?? `The server answered with status ${status}`, detail ?? 'It gave no reason.', {
    temporary: status >= 500,
  })
}

function failure(error: unknown, timeout: AbortSignal): readonly [title: string, detail: string] {
  if (timeout.aborted) return ['No answer', `The server took longer than ${patience / 1000} seconds.`]
  // The body was not JSON: something between the page and xnord answered in its place.
  if (error instanceof SyntaxError) return ['The answer cannot be read', 'It is not what xnord sends.']
  return ['The server cannot be reached', 'It has stopped, or the connection is lost.']
}
