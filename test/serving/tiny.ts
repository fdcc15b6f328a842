/** The fixture model `tiny` as serving meets it: files, rows, and the logits that NumPy's integer reference gave. */

import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeOnnx } from '../../bench/onnx/encode.ts'
import { parseModel } from '../../src/engine/format.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { type LoadedBackend, loadBackend } from '../../src/serving/backend.ts'
import { type LoadedModel, loadModel } from '../../src/serving/model.ts'
import type {
  BatchReason,
  Log,
  Observer,
  RejectionReason,
  Row,
  WorkerLossCause,
} from '../../src/serving/types.ts'
import { rewrite } from '../engine/rewrite.ts'

/** 3 members, 5 classes, images of 13 × 11 × 3. */
export const tinyFile: Uint8Array = new Uint8Array(
  readFileSync(new URL('../fixtures/tiny.safetensors', import.meta.url)),
)

const { check } = parseModel(tinyFile)
const rowBytes = 13 * 11 * 3
const classes = 5

/** The images of the check vectors, as raw pixels. */
export const tinyRows: readonly Row[] = Array.from({ length: check.rows }, (_, row) => ({
  kind: 'pixels',
  bytes: check.image.slice(row * rowBytes, (row + 1) * rowBytes),
}))

/** The logits of a row of the check vectors by the first so many members. */
export function tinyLogits(row: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, member) => {
    const begin = (member * check.rows + row) * classes
    return [...check.logits.subarray(begin, begin + classes)]
  }).flat()
}

/** An ONNX file whose logits are 0, x, 2.5, 0, 0, where x is the first red pixel less 128. */
export const baselineFile: Uint8Array = encodeOnnx({
  nodes: [
    { op: 'Flatten', inputs: ['image'], outputs: ['flat'] },
    { op: 'Transpose', inputs: ['weight'], outputs: ['columns'] },
    { op: 'Gemm', inputs: ['flat', 'columns', 'bias'], outputs: ['logits'] },
  ],
  inputs: [{ name: 'image', shape: ['batch', 3, 13, 11] }],
  outputs: [{ name: 'logits', shape: ['batch', classes] }],
  tensors: [
    {
      name: 'weight',
      shape: [classes, rowBytes],
      values: Array.from({ length: classes * rowBytes }, (_, index) => (index === rowBytes ? 1 : 0)),
    },
    { name: 'bias', shape: [classes], values: [0, 0, 2.5, 0, 0] },
  ],
})

/** The same model under another name, or with a baseline. */
export function tinyWith({ name = 'tiny', baseline }: { name?: string; baseline?: Uint8Array }): Uint8Array {
  return rewrite(tinyFile, header => {
    header.xnord.name = name
    if (baseline !== undefined) {
      header.xnord.baseline = { sha256: createHash('sha256').update(baseline).digest('hex') }
    }
  })
}

/** Writes files below a folder; the keys are their paths. */
export function write(folder: string, files: Readonly<Record<string, Uint8Array | string>>): string {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
  return folder
}

/** A models folder with `tiny` in version 1, its baseline included. */
export function tinyFolder(folder: string): string {
  return write(folder, {
    'tiny/1/model.safetensors': tinyWith({ baseline: baselineFile }),
    'tiny/1/baseline.onnx': baselineFile,
  })
}

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
  readonly details: Readonly<Record<string, unknown>>
}

export function recordingLog(): { readonly log: Log; readonly lines: readonly LogLine[] } {
  const lines: LogLine[] = []
  const at = (level: LogLine['level']) => (details: object, message: string) => {
    lines.push({ level, message, details: { ...details } })
  }
  return { log: { info: at('info'), warn: at('warn'), error: at('error') }, lines }
}

export interface Observed {
  readonly rows: Parameters<Observer['row']>[1][]
  readonly batches: { readonly rows: number; readonly reason: BatchReason }[]
  /** Milliseconds that each batch was computed. */
  readonly computed: number[]
  readonly rejected: [RejectionReason, number][]
  readonly failed: ErrorCode[]
  readonly workersLost: WorkerLossCause[]
  readonly retried: number[]
  /** Digests, an unloaded one with a minus before it. */
  readonly models: string[]
}

export function recordingObserver(): { readonly observer: Observer; readonly observed: Observed } {
  const observed: Observed = {
    rows: [],
    batches: [],
    computed: [],
    rejected: [],
    failed: [],
    workersLost: [],
    retried: [],
    models: [],
  }
  const observer: Observer = {
    row: (_, times) => void observed.rows.push(times),
    batch: (_, { rows, reason, compute }) => {
      observed.batches.push({ rows, reason })
      observed.computed.push(compute)
    },
    rejected: (_, reason, rows) => void observed.rejected.push([reason, rows]),
    failed: (_, code) => void observed.failed.push(code),
    workerLost: cause => void observed.workersLost.push(cause),
    retried: (_, rows) => void observed.retried.push(rows),
    loaded: ({ digest }) => void observed.models.push(digest),
    unloaded: ({ digest }) => void observed.models.push(`-${digest}`),
  }
  return { observer, observed }
}

/** `tiny` with its baseline, loaded from a folder that a test may throw away. */
export async function loadTiny(folder: string, slots: number): Promise<LoadedModel> {
  const path = join(tinyFolder(folder), 'tiny/1')
  return loadModel({ name: 'tiny', version: 1, path }, 'wasm', slots, recordingLog().log)
}

/** The fastest here: what workers compute does not depend on it. */
export async function backend(): Promise<LoadedBackend> {
  return (await loadBackend(undefined)).backend
}
