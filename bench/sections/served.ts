/** A shipped model, whose members share nothing but their shapes, against its own float baseline. */

import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { openBaseline } from '../../src/baseline/baseline.ts'
import { parseModel } from '../../src/engine/format.ts'
import { verifyNetwork } from '../../src/engine/network.ts'
import { openArena, openRunner } from '../arena.ts'
import type { Bench } from '../bench.ts'
import { spread, table, times } from '../markdown.ts'
import { type Contestant, ratios, spreadOf, takeTurns } from '../rounds.ts'

const batch = 16

/** @param folder of a version of a model, with its baseline */
export async function measureServed({ backends, rounds }: Bench, folder: string): Promise<string> {
  const file = readFileSync(join(folder, 'model.safetensors'))
  const onnx = readFileSync(join(folder, 'baseline.onnx'))
  const model = parseModel(file)
  const arena = openArena(model, batch)
  const { plan } = arena
  const slots = backends.map(backend => {
    const { slot } = openRunner(arena, backend)
    verifyNetwork(slot, model.check)
    return { name: backend.name, slot }
  })
  const images = new Uint8Array(batch * plan.rowBytes).map(
    (_, index) => model.check.image[index % model.check.image.length],
  )
  const baseline = await openBaseline(onnx, { input: model.input, classes: plan.classes })
  const rows: string[][] = []
  // A batch would push the weights of a single row's contestants out of the caches, so each size has rounds of its own.
  for (const size of [1, batch]) {
    const contestants: readonly Contestant[] = [
      { name: 'float32, ONNX Runtime', run: () => baseline.classify(images, size, 1) },
      ...[...new Set([1, plan.members])].flatMap(members =>
        slots.map(({ name, slot }) => ({
          name: `${members} ${members === 1 ? 'member' : 'members'}, ${name}`,
          run: () => slot.classify(images, size, members),
        })),
      ),
    ]
    const measured = await takeTurns(contestants, rounds)
    for (const [index, { name }] of contestants.entries()) {
      rows.push([
        String(size),
        name,
        spread(spreadOf(measured[index]), 1000 / size),
        times(spreadOf(ratios(measured[0], measured[index]))),
      ])
    }
  }
  await baseline.close()
  return `### The shipped model

\`${model.name}/${basename(folder)}\`, digest ${model.digest.slice(0, 12)}, by \`classify\` as the server calls it, the baseline with its conversion of pixels.

${table(['rows a call', 'network', 'µs a row', 'times as fast as float32'], rows)}

${table(
  ['what', 'bytes'],
  [
    ['weights of one member, as the kernels read them', Math.round(plan.weightBytes / plan.members)],
    ['the same with thresholds, scales and biases', Math.round(plan.parameterBytes / plan.members)],
    [`model file, ${plan.members} members and check vectors`, file.length],
    ['float32 baseline file', onnx.length],
  ].map(row => row.map(String)),
)}

One row by one member costs ${plan.wordOperations} operations on words of 64 bits.`
}
