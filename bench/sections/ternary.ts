/** What zeros among the weights cost. */

import type { Backend } from '../../src/engine/kernels/kernels.ts'
import { verifyNetwork } from '../../src/engine/network.ts'
import { Random } from '../../test/random-model.ts'
import { openArena, openRunner } from '../arena.ts'
import { type Bench, seed } from '../bench.ts'
import { digits, spread, table, times, verdict } from '../markdown.ts'
import { type Network, vggSmall } from '../networks.ts'
import { type Contestant, ratios, type Spread, spreadOf, takeTurns } from '../rounds.ts'

interface Pair {
  readonly backend: Backend
  readonly binary: Spread
  readonly ternary: Spread
  /** Ternary over binary. */
  readonly ratio: Spread
}

export interface TernaryResult {
  readonly network: Network
  readonly pairs: readonly Pair[]
}

const kinds = ['binary', 'ternary'] as const

const atMost: Readonly<Partial<Record<Backend, number>>> = { avx512: 1.1, avx2: 1.3, wasm: 1.4 }

export async function measureTernary(bench: Bench): Promise<TernaryResult> {
  const { backends, networks, rounds, peak } = bench
  const [network] = networks
  const contestants = kinds.flatMap(kind => {
    const model = bench.model(network, kind)
    const arena = openArena(model, model.check.rows)
    const pixels = new Random(seed).bytes(arena.plan.rowBytes)
    return backends.map((backend): Contestant => {
      const { slot } = openRunner(arena, backend)
      verifyNetwork(slot, model.check)
      return { name: `${backend.name}, ${kind}`, run: () => slot.classify(pixels, 1, 1) }
    })
  })
  const measured = await takeTurns(contestants, rounds)
  await peak.measure()
  const pairs = backends.map(({ name }, index) => {
    const binary = measured[index]
    const ternary = measured[backends.length + index]
    return {
      backend: name,
      binary: spreadOf(binary),
      ternary: spreadOf(ternary),
      ratio: spreadOf(ratios(ternary, binary)),
    }
  })
  return { network, pairs }
}

export function ternarySection({ network, pairs }: TernaryResult): string {
  return `### Ternary weights

${network.name}, one row, in milliseconds, with a third of the weights 0 and with none.

${table(
  ['backend', 'binary', 'ternary', 'ternary over binary', 'goal', 'met'],
  pairs.map(({ backend, binary, ternary, ratio }) => {
    const most = network === vggSmall ? atMost[backend] : undefined
    const goal = most === undefined ? ['', ''] : [`≤ ${digits(most)}×`, verdict(ratio.median <= most)]
    return [backend, spread(binary), spread(ternary), times(ratio), ...goal]
  }),
)}`
}
