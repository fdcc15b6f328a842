import { createHash } from 'node:crypto'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { MAX_FILE_BYTES } from '../engine/format/safetensors.ts'
import { type Check, type Model, parseModel } from '../engine/format.ts'
import type { Backend } from '../engine/kernels/kernels.ts'
import { fillArena, planModel } from '../engine/plan.ts'
import { XnordError } from '../errors.ts'
import { readBounded } from './files.ts'
import { layersOf } from './layers.ts'
import type { ModelSpec } from './messages.ts'
import type { FoundVersion } from './repository.ts'
import type { Log, ServedModel } from './types.ts'

export interface LoadedModel {
  readonly served: ServedModel
  readonly spec: ModelSpec
}

const wasmPage = 65_536
const maxBaselineBytes = 2 ** 30

let lastId = 0

/** A model that another thread has loaded, under an identity that is unique in this one. */
export function identified({ served, spec }: LoadedModel): LoadedModel {
  return { served, spec: { ...spec, id: ++lastId } }
}

/**
 * Reads one version from its folder and lays its weights out in an arena of their own: the one copy of them in this
 * process, however many workers there are.
 *
 * @param slots batches that may run on the model at the same time
 * @throws MODEL_UNREADABLE, MODEL_TOO_LARGE, MODEL_HEADER_INVALID, MODEL_DIGEST_MISMATCH, MODEL_GRAPH_INVALID,
 *   MODEL_TENSOR_INVALID, MODEL_UNSUPPORTED, BASELINE_INVALID
 */
export async function loadModel(
  found: FoundVersion,
  backend: Backend,
  slots: number,
  log: Log,
): Promise<LoadedModel> {
  const file = await readBounded(join(found.path, 'model.safetensors'), MAX_FILE_BYTES, 'MODEL_TOO_LARGE')
  const model = parseModel(file)
  if (model.name !== found.name) {
    throw new XnordError(
      'MODEL_HEADER_INVALID',
      `The model's name is ${model.name}, and that of its folder ${found.name}.`,
    )
  }
  const baseline = await readBaseline(found, model, log)
  const plan = planModel(model, { slots })
  const memory = allocateArena(plan.arenaBytes)
  fillArena(model, plan, memory.buffer)
  return {
    served: {
      name: model.name,
      version: found.version,
      digest: model.digest,
      backend,
      input: model.input,
      labels: model.labels,
      layers: layersOf(plan),
      members: model.members,
      defaultMembers: model.defaultMembers,
      hasBaseline: baseline !== null,
      maxRows: plan.maxRows,
      wordOperations: plan.wordOperations,
      bytes: { model: file.length, baseline: baseline?.byteLength ?? null },
      provenance: model.provenance,
    },
    spec: {
      id: ++lastId,
      plan,
      memory,
      check: sharedCheck(model.check),
      input: model.input,
      temperature: model.calibration.temperature,
      baseline,
    },
  }
}

/** @throws MODEL_TOO_LARGE where this machine or process has no room for it */
function allocateArena(bytes: number): WebAssembly.Memory {
  const pages = Math.ceil(bytes / wasmPage)
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
  } catch (error) {
    // A plan's arena has no more pages than 32 bits address, so that the system's refusal alone is left.
    const detail = `The model needs ${pages * wasmPage} bytes of memory, which the system does not give.`
    throw new XnordError('MODEL_TOO_LARGE', detail, { cause: error })
  }
}

/** The ONNX file where there is one, which then must be the one that the model names. */
async function readBaseline(found: FoundVersion, model: Model, log: Log): Promise<SharedArrayBuffer | null> {
  const path = join(found.path, 'baseline.onnx')
  const isThere = await access(path).then(
    () => true,
    () => false,
  )
  if (model.baseline === null) {
    if (isThere) log.warn({ path }, 'ignored: the model names no baseline')
    return null
  }
  if (!isThere) {
    log.warn({ path }, 'the model is served without its baseline, which is not there')
    return null
  }
  const bytes = await readBounded(path, maxBaselineBytes, 'BASELINE_INVALID')
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  if (sha256 !== model.baseline.sha256) {
    throw new XnordError(
      'BASELINE_INVALID',
      `${path} has the SHA-256 ${sha256}, and the model names ${model.baseline.sha256}.`,
    )
  }
  return shared(bytes).buffer
}

function sharedCheck({ rows, image, digest, logits }: Check): Check {
  const bytes = shared(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength))
  return { rows, image: shared(image), digest: shared(digest), logits: new Float32Array(bytes.buffer) }
}

function shared(bytes: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length))
  copy.set(bytes)
  return copy
}
