/** How large sums can grow, whatever the image: decided from the real constants when a model is loaded. */

import { XnordError } from '../errors.ts'
import type { Model } from './format.ts'
import { type GraphValues, type Operation, tapsOf } from './graph.ts'

/** Sums are int32 in kernels; thresholds lie within ±2³⁰, and so must what is compared with them. */
const LARGEST_SUM = 2 ** 30

/** Below the largest float32, so that nothing is ever infinite or, by a difference of infinities, not a number. */
const LARGEST_FLOAT = 2 ** 127

/** Kernels sum bytes p. Their sums of p − 128 are half as large at most. */
const LARGEST_BYTE = 255
const LARGEST_PIXEL = 128

/**
 * @throws MODEL_TOO_LARGE where a sum of integers may leave int32
 * @throws MODEL_UNSUPPORTED where a float may leave float32
 */
export function checkMagnitudes(model: Pick<Model, 'operations' | 'tensors'>, { values }: GraphValues): void {
  const bounds = new Map<string, number>()
  for (const operation of model.operations) {
    const source = values.get(operation.input)!
    const bound = (value: number): number => {
      if (value < LARGEST_FLOAT) return value
      throw new XnordError(
        'MODEL_UNSUPPORTED',
        `${operation.name}: its floats may leave the range of float32`,
      )
    }
    if (operation.op === 'sign') continue
    if (operation.op === 'average_pool') {
      const additions = operation.size ** 2
      const sum = bound(withRounding(additions * bounds.get(operation.input)!, additions))
      bounds.set(operation.name, withRounding(sum / additions, 1))
      continue
    }
    const taps = tapsOf(operation, source)
    const weights = taps * 2 ** Math.max(...operation.shifts)
    if (operation.output === 'bits') {
      if (weights * (source.type === 'pixels' ? LARGEST_BYTE : 1) > LARGEST_SUM) {
        throw new XnordError('MODEL_TOO_LARGE', `${operation.name}: its sums may leave ±2^30`)
      }
      continue
    }
    const sum = bound(
      source.type === 'floats'
        ? withRounding(weights * bounds.get(operation.input)!, taps)
        : weights * (source.type === 'pixels' ? LARGEST_PIXEL : 1),
    )
    const scaled = bound(withRounding(sum * largest(model, operation, 'scale'), 1))
    const biased = bound(withRounding(scaled + largest(model, operation, 'bias'), 1))
    const addend = operation.add === null ? 0 : bounds.get(operation.add)!
    bounds.set(operation.name, bound(withRounding(biased + addend, 1)))
  }
}

/** What so many roundings can make of a magnitude: each adds 2⁻²⁴ of it at most. */
function withRounding(magnitude: number, roundings: number): number {
  return magnitude * Math.exp(roundings * 2 ** -24)
}

function largest({ tensors }: Pick<Model, 'tensors'>, { name }: Operation, part: 'scale' | 'bias'): number {
  let most = 0
  for (const value of tensors.get(`${name}.${part}`)!.data) most = Math.max(most, Math.abs(value))
  return most
}
