/** The tensors of a model: which there are, their shapes, and the rules that their values keep. */

import { XnordError } from '../../errors.ts'
import { bitAt, tapBytes } from '../bits.ts'
import {
  IMAGE,
  inferValues,
  LOGITS,
  type Operation,
  tapsOf,
  type ValueType,
  type Weighted,
} from '../graph.ts'
import type { Metadata } from './metadata.ts'
import type { Dtype, Tensor } from './safetensors.ts'

/** What every backend must reproduce before a model serves. */
export interface Check {
  /** n = 8..64 */
  readonly rows: number
  /** [n, H, W, C] */
  readonly image: Uint8Array
  /** [K, operations, 32]: SHA-256 of an operation's output for all rows. */
  readonly digest: Uint8Array
  /** [K, n, classes] */
  readonly logits: Float32Array
}

export const DIGEST_BYTES = 32
const MIN_CHECK_ROWS = 8
const MAX_CHECK_ROWS = 64
const MAX_THRESHOLD = 2 ** 30
const MIN_MAGNITUDE = 2 ** -64
const MAX_MAGNITUDE = 2 ** 64

function fail(name: string, problem: string): never {
  throw new XnordError('MODEL_TENSOR_INVALID', `${name} ${problem}`)
}

/**
 * Checks every tensor of a file and takes the check vectors out.
 *
 * @returns the operations' tensors by name, without the check's
 * @throws MODEL_TENSOR_INVALID
 */
export function readTensors(
  metadata: Metadata,
  tensors: ReadonlyMap<string, Tensor>,
): { readonly tensors: ReadonlyMap<string, Tensor>; readonly check: Check } {
  const unread = new Map(tensors)
  const { values } = inferValues(metadata.input, metadata.operations)
  const take = <D extends Dtype>(name: string, dtype: D, ...shapes: (readonly number[])[]) => {
    const tensor = unread.get(name)
    unread.delete(name)
    if (!tensor) return fail(name, 'is missing')
    if (!isDtype(tensor, dtype)) return fail(name, `is ${tensor.dtype}, not ${dtype}`)
    if (!shapes.some(shape => shape.join() === tensor.shape.join())) {
      const wanted = shapes.map(shape => `[${shape.join(', ')}]`).join(' or ')
      fail(name, `has the shape [${tensor.shape.join(', ')}], not ${wanted}`)
    }
    return tensor
  }
  for (const operation of metadata.operations) {
    readParameters(operation, values.get(operation.input)!, metadata.members, take)
  }
  const check = readCheck(metadata, values, unread.get('check.image')?.shape[0] ?? 0, take)
  for (const name of unread.keys()) fail(name, 'is unknown')
  const parameters = [...tensors].filter(([name]) => !checkNames.includes(name))
  return { tensors: new Map(parameters), check }
}

const checkNames: readonly string[] = ['check.image', 'check.digest', 'check.logits']

/** The check as tensors of a file, [name, tensor] each. */
export function writeCheck(metadata: Metadata, { rows, image, digest, logits }: Check): [string, Tensor][] {
  const { height, width, channels } = metadata.input
  const { members, operations, labels } = metadata
  return [
    ['check.image', { dtype: 'U8', shape: [rows, height, width, channels], data: image }],
    ['check.digest', { dtype: 'U8', shape: [members, operations.length, DIGEST_BYTES], data: digest }],
    ['check.logits', { dtype: 'F32', shape: [members, rows, labels.length], data: logits }],
  ]
}

type TensorOf<D extends Dtype> = Extract<Tensor, { readonly dtype: D }>

type Take = <D extends Dtype>(name: string, dtype: D, ...shapes: (readonly number[])[]) => TensorOf<D>

function isDtype<D extends Dtype>(tensor: Tensor, dtype: D): tensor is TensorOf<D> {
  return tensor.dtype === dtype
}

function readCheck(
  metadata: Metadata,
  values: ReadonlyMap<string, ValueType>,
  rows: number,
  take: Take,
): Check {
  const { members, operations } = metadata
  const { height, width, channels } = values.get(IMAGE)!
  const image = take('check.image', 'U8', [rows, height, width, channels])
  if (rows < MIN_CHECK_ROWS || rows > MAX_CHECK_ROWS) {
    fail('check.image', `has ${rows} images, not ${MIN_CHECK_ROWS} to ${MAX_CHECK_ROWS}`)
  }
  const digest = take('check.digest', 'U8', [members, operations.length, DIGEST_BYTES])
  const logits = take('check.logits', 'F32', [members, rows, values.get(LOGITS)!.channels])
  return { rows, image: image.data, digest: digest.data, logits: logits.data }
}

function readParameters(operation: Operation, source: ValueType, members: number, take: Take): void {
  const { name } = operation
  /** A tensor for each member, or one for all. */
  const shapes = (...shape: readonly number[]) => [...new Set([members, 1])].map(m => [m, ...shape])
  if (operation.op === 'average_pool') return
  if (operation.op === 'sign') {
    const threshold = take(`${name}.threshold`, 'F32', ...shapes(source.channels))
    checkValues(`${name}.threshold`, threshold.data, Number.isFinite, 'is not finite')
    return
  }
  readPlanes(operation, source, shapes, take)
  if (operation.output === 'bits') {
    const threshold = take(`${name}.threshold`, 'I32', ...shapes(operation.out))
    checkValues(`${name}.threshold`, threshold.data, t => Math.abs(t) <= MAX_THRESHOLD, 'is not within ±2^30')
    return
  }
  for (const part of ['scale', 'bias']) {
    const { data } = take(`${name}.${part}`, 'F32', ...shapes(operation.out))
    checkValues(`${name}.${part}`, data, isModerate, 'is neither 0 nor of a magnitude from 2^-64 to 2^64')
  }
}

function isModerate(value: number): boolean {
  const magnitude = Math.abs(value)
  return magnitude === 0 || (magnitude >= MIN_MAGNITUDE && magnitude <= MAX_MAGNITUDE)
}

function checkValues(
  name: string,
  values: Int32Array | Float32Array,
  valid: (value: number) => boolean,
  problem: string,
): void {
  for (let index = 0; index < values.length; index++) {
    if (!valid(values[index])) fail(`${name}[${index}]`, `${values[index]} ${problem}`)
  }
}

function readPlanes(
  operation: Weighted,
  source: ValueType,
  shapes: (...shape: readonly number[]) => number[][],
  take: Take,
): void {
  const { name, out, weights, shifts } = operation
  const taps = tapsOf(operation, source)
  const bytes = tapBytes(taps)
  const planes = shifts.length
  const sign = take(`${name}.sign`, 'U8', ...shapes(planes, out, bytes)).data
  checkTail(`${name}.sign`, sign, taps)
  if (weights === 'binary') return
  const mask = take(`${name}.mask`, 'U8', ...shapes(planes, out, bytes)).data
  checkTail(`${name}.mask`, mask, taps)
  // One of the two may be shared by the members, so every member's pair is looked at.
  const most = Math.max(sign.length, mask.length)
  for (let index = 0, ofSign = 0, ofMask = 0; index < most; index++) {
    if (sign[ofSign] & ~mask[ofMask]) {
      fail(`${name}.sign[${ofSign}]`, 'has a bit where the weight is masked')
    }
    if (++ofSign === sign.length) ofSign = 0
    if (++ofMask === mask.length) ofMask = 0
  }
  checkDisjoint(`${name}.mask`, mask, planes, out * bytes)
}

/** @param packed rows of ⌈taps/8⌉ bytes, whose bits from `taps` on are 0 */
function checkTail(name: string, packed: Uint8Array, taps: number): void {
  const bytes = tapBytes(taps)
  for (let row = 0; row < packed.length; row += bytes) {
    const last = packed.subarray(row + bytes - 1, row + bytes)
    for (let tap = taps & 7; tap !== 0 && tap < 8; tap++) {
      if (bitAt(last, tap)) fail(`${name}[${row + bytes - 1}]`, `has a bit beyond the last of ${taps} taps`)
    }
  }
}

/** A tap belongs to one plane at most. */
function checkDisjoint(name: string, mask: Uint8Array, planes: number, planeBytes: number): void {
  for (let member = 0; member < mask.length; member += planes * planeBytes) {
    for (let index = 0; index < planeBytes; index++) {
      let taken = 0
      for (let plane = 0; plane < planes; plane++) {
        const position = member + plane * planeBytes + index
        if (taken & mask[position]) fail(`${name}[${position}]`, 'overlaps another plane')
        taken |= mask[position]
      }
    }
  }
}
