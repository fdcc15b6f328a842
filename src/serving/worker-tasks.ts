import type { Baseline } from '../baseline/baseline.ts'
import { openBaseline } from '../baseline/baseline.ts'
import { Network, type NetworkSlot, verifyNetwork } from '../engine/network.ts'
import { answer } from '../engine/probabilities.ts'
import { asXnordError, type XnordError } from '../errors.ts'
import { decodeImage } from '../images/decode.ts'
import { openKernels } from './backend.ts'
import { collectGarbage } from './garbage.ts'
import { layersOf, traceLayers } from './layers.ts'
import type {
  Failed,
  ModelSpec,
  RowReply,
  RowsReply,
  RunMessage,
  UnknownModelReply,
  WorkerData,
  WorkerTasks,
} from './messages.ts'
import { packRows } from './packed-rows.ts'
import type { BaselinePrediction, Prediction } from './types.ts'

/** A model as one worker holds it. */
interface OpenModel {
  readonly spec: ModelSpec
  readonly network: Network
  /** Opened at first use: a process that never asks it loads no ONNX runtime. */
  baseline: Promise<Baseline> | null
}

/** A row that was decoded, or the reason why it was not. */
interface DecodedRow {
  readonly milliseconds: number
  readonly error: XnordError | null
}

/**
 * The tasks of one worker. They keep no clock-driven state and no metrics, and every error goes back as data: an Error
 * would lose its code between the threads.
 */
export function createWorkerTasks(data: WorkerData): WorkerTasks {
  const models = new Map<number, OpenModel>()

  /** Only a model that reproduces its check vectors here is kept. */
  function open(spec: ModelSpec, slot: number): OpenModel {
    const network = new Network(spec.plan, spec.memory.buffer, openKernels(data.backend, spec.memory))
    verifyNetwork(network.slot(slot), spec.check)
    const model = { spec, network, baseline: null }
    models.set(spec.id, model)
    return model
  }

  async function forget(id: number): Promise<void> {
    const model = models.get(id)
    models.delete(id)
    // One that could not be opened was reported when it was asked for, and needs no closing.
    await model?.baseline?.then(
      baseline => baseline.close(),
      () => undefined,
    )
  }

  async function run(message: RunMessage): Promise<RowsReply | UnknownModelReply> {
    const known = models.get(message.model)
    if (known === undefined && message.spec === null) return { kind: 'unknown-model' }
    const model = known ?? open(message.spec!, message.slot)
    const slot = model.network.slot(message.slot)
    const decoded = await decodeRows(message, model.spec, slot.pixels, data.maxPixels)
    const rows = decoded.filter(({ error }) => error === null).length
    if (rows === 0) {
      const failed = decoded.map(row => failure(row))
      return { kind: 'rows', rows: failed, compute: null, baseline: null, layers: [] }
    }
    const { networks } = message
    const discrete = networks === 'baseline' ? null : askDiscrete(slot, model.spec, rows, message)
    const twins = networks === 'discrete' ? null : await askBaseline(model, slot.pixels, rows)
    let next = 0
    return {
      kind: 'rows',
      rows: decoded.map(row => {
        if (row.error !== null) return failure(row)
        const index = next++
        const prediction = discrete?.predictions[index] ?? null
        const baseline = twins?.predictions[index] ?? null
        return { ok: true, decode: row.milliseconds, prediction, baseline }
      }),
      compute: discrete?.milliseconds ?? null,
      baseline: twins?.milliseconds ?? null,
      layers: discrete?.layers ?? [],
    }
  }

  return {
    open: message =>
      asData(() => {
        open(message.model, message.slot)
        return { kind: 'done' }
      }),
    run: message =>
      asData(async () => {
        const reply = await run(message)
        return reply.kind === 'rows' ? packRows(reply) : reply
      }),
    decode: message =>
      asData(async () => {
        const pixels = new Uint8Array(message.input.height * message.input.width * message.input.channels)
        const start = performance.now()
        await decodeImage(new Uint8Array(message.bytes), message.input, data.maxPixels, pixels)
        return { kind: 'decoded', pixels, decode: performance.now() - start }
      }),
    release: message =>
      asData(async () => {
        await forget(message.model)
        collectGarbage()
        return { kind: 'done' }
      }),
  }
}

/** Good rows lie in `pixels` behind one another, without gaps where a row failed. */
async function decodeRows(
  { bytes, rows }: RunMessage,
  spec: ModelSpec,
  pixels: Uint8Array,
  maxPixels: number,
): Promise<readonly DecodedRow[]> {
  const { rowBytes } = spec.plan
  const decoded: DecodedRow[] = []
  let offset = 0
  let good = 0
  for (const length of rows) {
    const own = new Uint8Array(bytes, offset, Math.abs(length))
    offset += own.length
    let row = asTheyAre
    if (length < 0) {
      const out = pixels.subarray(good * rowBytes, (good + 1) * rowBytes)
      // One after the other: a worker is one core's worth of work.
      row = await decodeFile(own, out, spec, maxPixels)
    } else pixels.set(own, good * rowBytes)
    if (row.error === null) good++
    decoded.push(row)
  }
  return decoded
}

/** Of rows of pixels. */
const asTheyAre: DecodedRow = { milliseconds: 0, error: null }

async function decodeFile(
  bytes: Uint8Array,
  out: Uint8Array,
  spec: ModelSpec,
  maxPixels: number,
): Promise<DecodedRow> {
  const start = performance.now()
  try {
    await decodeImage(bytes, spec.input, maxPixels, out)
    return { milliseconds: performance.now() - start, error: null }
  } catch (thrown) {
    // A bug that one image finds is no reason to fail the others.
    return { milliseconds: performance.now() - start, error: asXnordError(thrown) }
  }
}

/** What one network says of all rows, and the milliseconds that it took. */
interface Answered<Row> {
  readonly predictions: readonly Row[]
  readonly milliseconds: number
}

function askDiscrete(
  slot: NetworkSlot,
  spec: ModelSpec,
  rows: number,
  { members, layers: asked }: RunMessage,
): Answered<Prediction> & Pick<RowsReply, 'layers'> {
  const start = performance.now()
  const predictions = predict(slot, spec, rows, members)
  const layers = asked.length === 0 ? [] : traceLayers(slot, layersOf(spec.plan), asked, rows, members)
  return { predictions, milliseconds: performance.now() - start, layers }
}

function predict(slot: NetworkSlot, spec: ModelSpec, rows: number, members: number): readonly Prediction[] {
  const logits = slot.classify(slot.pixels, rows, members)
  const temperature = spec.temperature[members - 1]!
  return split(logits, rows).map(row => {
    const { probabilities, index, entropy, mutualInformation, agreement } = answer(row, members, temperature)
    return {
      logits: row,
      probabilities,
      index,
      uncertainty: { entropy, mutualInformation, agreement, members },
    }
  })
}

async function askBaseline(
  model: OpenModel,
  pixels: Uint8Array,
  rows: number,
): Promise<Answered<BaselinePrediction>> {
  const { baseline: file, input, plan } = model.spec
  // What fails once would fail again, the bytes being the same: the rejection is kept, too.
  model.baseline ??= openBaseline(new Uint8Array(file!), { input, classes: plan.classes })
  const baseline = await model.baseline
  const start = performance.now()
  const logits = await baseline.classify(pixels, rows, 1)
  const milliseconds = performance.now() - start
  const predictions = split(logits, rows).map(row => {
    const { probabilities, index } = answer(row, 1, 1)
    return { logits: row, probabilities, index }
  })
  return { predictions, milliseconds }
}

/** [rows, …] as one array a row. */
function split(values: Float32Array, rows: number): readonly Float32Array[] {
  const length = values.length / rows
  return Array.from({ length: rows }, (_, row) => values.subarray(row * length, (row + 1) * length))
}

function failure(row: DecodedRow): RowReply {
  return { ok: false, decode: row.milliseconds, error: row.error!.data }
}

async function asData<Reply>(task: () => Reply | Promise<Reply>): Promise<Reply | Failed> {
  try {
    return await task()
  } catch (thrown) {
    const error = asXnordError(thrown)
    const stack = thrown instanceof Error && error !== thrown ? (thrown.stack ?? null) : null
    return { kind: 'failed', error: error.data, stack }
  }
}
