/** VGG-Small with random weights as a folder of models, with its float32 twin: what it answers is worthless, how fast is not. */

import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { serializeModel } from '../../src/engine/format.ts'
import type { LoadedBackend } from '../../src/serving/backend.ts'
import { completeModel } from '../arena.ts'
import { randomWeights, vggSmall, withWeights } from '../networks.ts'
import { encodeOnnx } from '../onnx/encode.ts'
import { floatTwin } from '../onnx/float-twin.ts'

export const vggName = 'vgg-small'
const seed = 1

/** @returns the path of the twin's file */
export function writeVggRepository(folder: string, backend: LoadedBackend): string {
  const version = join(folder, vggName, '1')
  mkdirSync(version, { recursive: true })
  const onnx = encodeOnnx(floatTwin(vggSmall, 'rows', seed))
  const baseline = join(version, 'baseline.onnx')
  writeFileSync(baseline, onnx)
  const sha256 = createHash('sha256').update(onnx).digest('hex')
  const weights = { ...randomWeights(withWeights(vggSmall, 'binary'), seed), baseline: { sha256 } }
  writeFileSync(join(version, 'model.safetensors'), serializeModel(completeModel(weights, backend)))
  return baseline
}
