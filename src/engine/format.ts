/** xnord/1: a model file's bytes to a checked model, and back. */

import { XnordError } from '../errors.ts'
import { BLANK_DIGEST, fileDigest } from './format/digest.ts'
import { type Metadata, readMetadata, writeMetadata } from './format/metadata.ts'
import { headerEnd, readContainer, type Tensor, writeContainer } from './format/safetensors.ts'
import { parseStrictJson } from './format/strict-json.ts'
import { type Check, readTensors, writeCheck } from './format/tensors.ts'

export type { Check } from './format/tensors.ts'

/** All that a model file holds but its digest. Immutable. */
export interface ModelContent extends Metadata {
  /** The operations' tensors, `{operation}.{part}`. */
  readonly tensors: ReadonlyMap<string, Tensor>
  readonly check: Check
}

/** A model that keeps every rule of the format. */
export interface Model extends ModelContent {
  /** SHA-256, hexadecimal: the model's identity. */
  readonly digest: string
}

/**
 * Reads a file that may be hostile: limits come before any allocation, and the first thing wrong ends it.
 *
 * @param bytes the whole file; tensors are views of it, so it must not change afterwards
 * @throws MODEL_TOO_LARGE, MODEL_HEADER_INVALID, MODEL_DIGEST_MISMATCH, MODEL_GRAPH_INVALID, MODEL_TENSOR_INVALID,
 *   each with the path of what is wrong
 */
export function parseModel(bytes: Uint8Array): Model {
  const { stated, computed } = fileDigest(bytes, headerEnd(bytes))
  if (stated !== computed) {
    throw new XnordError('MODEL_DIGEST_MISMATCH', `the file states ${stated}, its bytes give ${computed}`)
  }
  const container = readContainer(bytes)
  for (const key of container.metadata.keys()) {
    if (key !== 'xnord' && key !== 'digest') {
      throw new XnordError('MODEL_HEADER_INVALID', `__metadata__.${key} is unknown`)
    }
  }
  const description = container.metadata.get('xnord')
  if (description === undefined) throw new XnordError('MODEL_HEADER_INVALID', '__metadata__.xnord is missing')
  const metadata = readMetadata(parseStrictJson(description, '__metadata__.xnord'))
  return { ...metadata, digest: stated, ...readTensors(metadata, container.tensors) }
}

/** The file of a model. It is not checked: `parseModel` of the result does that. */
export function serializeModel(content: ModelContent): Uint8Array<ArrayBuffer> {
  const metadata = new Map([
    ['digest', BLANK_DIGEST],
    ['xnord', JSON.stringify(writeMetadata(content))],
  ])
  const tensors = new Map([...content.tensors, ...writeCheck(content, content.check)])
  const file = writeContainer({ metadata, tensors })
  const { computed, offset } = fileDigest(file, headerEnd(file))
  new TextEncoder().encodeInto(computed, file.subarray(offset))
  return file
}
