/** What a network takes in memory. */

import { inferValues, isWeighted, type Operation, tapsOf } from '../../src/engine/graph.ts'
import { planModel } from '../../src/engine/plan.ts'
import type { Bench } from '../bench.ts'
import { percent, table, verdict } from '../markdown.ts'
import { type Network, vggSmall } from '../networks.ts'

const goals = {
  /** Packed weights over one bit, or two for ternary, each. */
  excess: 0.03,
  scratchBytes: 2_000_000,
}

export function memorySection({ networks, model }: Bench): string {
  const rows = networks.flatMap(network =>
    (['binary', 'ternary'] as const).map(weights => {
      const served = planModel(model(network, weights), { slots: 1 })
      const single = planModel(model(network, weights), { slots: 1, maxRows: 1 })
      const count = weightsOf(network)
      const bits = (8 * served.weightBytes) / count
      const excess = bits / (weights === 'binary' ? 1 : 2) - 1
      const isJudged = network === vggSmall
      return [
        network.name,
        weights,
        String(count),
        bits.toFixed(3),
        `${percent(excess)}: ${verdict(excess <= goals.excess)}`,
        String(single.slotBytes),
        String(served.maxRows),
        isJudged
          ? `${served.slotBytes}: ${verdict(served.slotBytes < goals.scratchBytes)}`
          : String(served.slotBytes),
      ]
    }),
  )
  return `### Memory

Weights as the kernels read them, all layers together; what they take beyond one bit each (two for ternary) is the first
layer's, whose weights are bytes, the padding of channels, and where fewer than 64 channels leave runs that end within a
word, the masks that cut them. A worker's scratch holds pixels and values of a batch: of one row, and of as many as a
worker takes where it serves. Goals: at most ${percent(goals.excess)} beyond, and for ${vggSmall.name} less than ${goals.scratchBytes / 1e6} MB of scratch.

${table(
  ['network', 'weights', 'number', 'bits each', 'beyond', 'scratch, 1 row', 'rows', 'scratch, bytes'],
  rows,
)}`
}

function weightsOf({ input, operations }: Network): number {
  const { values } = inferValues(input, operations)
  return operations.reduce(
    (sum: number, operation: Operation) =>
      sum + (isWeighted(operation) ? operation.out * tapsOf(operation, values.get(operation.input)!) : 0),
    0,
  )
}
