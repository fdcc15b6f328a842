/** A dispatcher whose pool is answered by the test. */

import { XnordError } from '../../src/errors.ts'
import { Dispatcher } from '../../src/serving/dispatcher.ts'
import { Holders } from '../../src/serving/holders.ts'
import type {
  DecodedReply,
  DecodeMessage,
  RowsReply,
  RunMessage,
  UnknownModelReply,
} from '../../src/serving/messages.ts'
import type { LoadedModel } from '../../src/serving/model.ts'
import type { PredictRequest, Row, RowAnswer } from '../../src/serving/types.ts'
import { encodeGreyPng } from '../images/png.ts'
import { recordingLog, recordingObserver } from './tiny.ts'

export const rowBytes = 13 * 11 * 3

/** A row that the pool below answers with its number as logit, whichever network is asked. */
export function numbered(number: number): Row {
  return { kind: 'pixels', bytes: new Uint8Array(rowBytes).fill(number & 255).fill(number >> 8, 0, 1) }
}

export const largePng = encodeGreyPng(new Uint8Array(300 * 300), 300, 300)
export const large: Row = { kind: 'file', bytes: largePng }
export const broken: Row = { kind: 'file', bytes: new Uint8Array([1]) }

interface Sent<Message, Reply> {
  readonly message: Message
  readonly reply: (reply: Reply) => void
  readonly fail: (error: Error) => void
}

/** What a pool is to a dispatcher, answered by the test. */
export class HandPool {
  readonly workers: number
  alive = true
  readonly runs: Sent<RunMessage, RowsReply | UnknownModelReply>[] = []
  readonly decodes: Sent<DecodeMessage, DecodedReply>[] = []

  constructor(workers: number) {
    this.workers = workers
  }

  run(message: RunMessage): Promise<RowsReply | UnknownModelReply> {
    return new Promise((reply, fail) => this.runs.push({ message, reply, fail }))
  }

  decode(message: DecodeMessage): Promise<DecodedReply> {
    return new Promise((reply, fail) => this.decodes.push({ message, reply, fail }))
  }

  /** Answers a batch: each row's logit is its number. */
  answer(index: number): void {
    const { message, reply } = this.runs[index]
    reply(answersTo(message))
  }
}

export function answersTo({ bytes, rows, networks }: RunMessage): RowsReply {
  let offset = 0
  return {
    kind: 'rows',
    rows: rows.map(length => {
      const [high, low] = new Uint8Array(bytes, offset, 2)
      offset += Math.abs(length)
      const logits = Float32Array.of(high * 256 + low)
      const uncertainty = { entropy: 0, mutualInformation: 0, agreement: 1, members: 1 }
      const said = { logits, probabilities: Float64Array.of(1), index: 0 }
      return {
        ok: true,
        decode: 0.5,
        prediction: networks === 'baseline' ? null : { ...said, uncertainty },
        baseline: networks === 'discrete' ? null : said,
      }
    }),
    compute: networks === 'baseline' ? null : 8,
    baseline: networks === 'discrete' ? null : 4,
    layers: [],
  }
}

export const turn = () => new Promise(setImmediate)

export function logits(answers: readonly RowAnswer[]): readonly (number | string)[] {
  return answers.map(answer =>
    answer.ok ? (answer.prediction ?? answer.baseline)!.logits[0] : answer.error.code,
  )
}

export function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}

/** What a promise came to, so that nothing is left unhandled while a test looks elsewhere. */
export function outcome(answers: Promise<readonly RowAnswer[]>): Promise<readonly (number | string)[]> {
  return answers.then(logits, (thrown: unknown) => [(thrown as XnordError).code])
}

export function dispatching(
  model: LoadedModel,
  {
    workers = 1,
    queueRows = 1000,
    batchDelay = 0,
  }: { workers?: number; queueRows?: number; batchDelay?: number } = {},
) {
  const pool = new HandPool(workers)
  const holders = new Holders<LoadedModel>()
  const { observer, observed } = recordingObserver()
  const { log, lines } = recordingLog()
  const limits = { queueRows, batchDelay, gather: (look: () => void) => look(), maxPixels: 1_000_000 }
  const dispatcher = new Dispatcher({ pool, holders, ...limits, observer, log })
  const predict = (rows: readonly Row[], change: Partial<PredictRequest> = {}, of = model) =>
    dispatcher.predict(of, { model: of.served, rows, members: 1, networks: 'discrete', ...change })
  /** Takes the only worker, with a row numbered 0, until `finish`. */
  const occupied = () => {
    const answers = predict([numbered(0)])
    return async () => {
      pool.answer(0)
      await answers
      await turn()
    }
  }
  return { pool, holders, dispatcher, predict, occupied, observed, lines }
}

export const workerLost = () => new XnordError('WORKER_LOST', 'The worker died.')
