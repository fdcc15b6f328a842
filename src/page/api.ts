/** The server's routes that the page uses. Addresses are relative: the page works under any path prefix. */
import {
  type Classification,
  type Client,
  createClient,
  RequestError,
  type RowError,
} from '../client/client.ts'
import type { Answer, Reading } from './answer.ts'
import { currentKey } from './key.ts'

/** Of a model's version in `GET /models`, what the page needs. */
export interface Model {
  readonly name: string
  readonly version: number
  readonly input: { readonly height: number; readonly width: number; readonly channels: number }
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

/**
 * The loaded models, the highest version of each; none while the server is starting.
 * @throws Problem
 */
export async function listModels(): Promise<readonly Model[]> {
  const models = await answered(client => client.models())
  return models.flatMap(({ name, versions }) => versions.slice(-1).map(version => ({ name, ...version })))
}

/**
 * What all members of the model say of an image, and its float twin beside them where it has one.
 * @throws Problem; the signal's reason when it was aborted
 */
export async function ask(model: Model, image: Image, signal: AbortSignal): Promise<Answer> {
  const { name, version, members, labels } = model
  const images = image instanceof File ? image : { pixels: image }
  const options = { model: name, version, members, top: labels.length, signal }
  if (model.baseline) {
    const answer = await answered(client => client.compare(images, options))
    const { discrete, baseline } = onlyRow(answer.predictions)
    return {
      backend: answer.backend,
      discrete: reading(discrete, discrete.milliseconds),
      uncertainty: discrete.uncertainty,
      baseline: reading(baseline, baseline.milliseconds),
    }
  }
  const answer = await answered(client => client.predict(images, options))
  const discrete = onlyRow(answer.predictions)
  return {
    backend: answer.backend,
    discrete: reading(discrete, null),
    uncertainty: discrete.uncertainty,
    baseline: null,
  }
}

function onlyRow<Row extends object>([row]: readonly (Row | RowError)[]): Row {
  if (row === undefined) throw new Problem('The answer is empty', 'The server predicted nothing.')
  if ('error' in row) throw new Problem(row.error.title, row.error.detail)
  return row
}

function reading({ label, probability, top }: Classification, milliseconds: number | null): Reading {
  return {
    label,
    probability,
    probabilities: new Map(top.map(entry => [entry.label, entry.probability])),
    milliseconds,
  }
}

/** @throws Problem, and whatever else the call throws */
async function answered<Result>(call: (client: Client) => Promise<Result>): Promise<Result> {
  const key = currentKey()
  // No header can carry anything else.
  if (key !== null && !/^[\x21-\x7e]+$/.test(key)) throw unknownKey()
  const url = new URL('.', document.baseURI)
  try {
    return await call(createClient({ url, timeout: patience, ...(key !== null && { key }) }))
  } catch (error) {
    throw error instanceof RequestError ? problemOf(error) : error
  }
}

function problemOf(error: RequestError): Problem {
  const { code, status, title, detail } = error
  if (code === 'KEY_MISSING')
    return new Problem('A key is needed', 'Whoever runs this server gives it out.', { needsKey: true })
  if (code === 'KEY_INVALID') return unknownKey()
  const temporary = status === null || status >= 500
  if (code === 'TIMEOUT') {
    const seconds = patience / 1000
    return new Problem('No answer', `The server took longer than ${seconds} seconds.`, { temporary })
  }
  return new Problem(title, detail, { cause: error, temporary })
}

function unknownKey(): Problem {
  return new Problem('The key is not known', 'This server takes others.', { needsKey: true })
}
