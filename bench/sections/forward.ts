/** Forward passes against ONNX Runtime's. */

import type { InferenceSession } from 'onnxruntime-node'
import { IMAGE } from '../../src/engine/graph.ts'
import type { Backend } from '../../src/engine/kernels/kernels.ts'
import { verifyNetwork } from '../../src/engine/network.ts'
import { Random } from '../../test/random-model.ts'
import { openArena, openRunner } from '../arena.ts'
import { type Bench, seed } from '../bench.ts'
import type { Cpu } from '../cpu.ts'
import { digits, spread, table, times, verdict } from '../markdown.ts'
import { lenet, type Network, resnet18, vggSmall } from '../networks.ts'
import { floatTwin } from '../onnx/float-twin.ts'
import { int8Twin } from '../onnx/int8-twin.ts'
import { calibrate, openSession, randomImage } from '../onnx/session.ts'
import type { Bar, BarGroup } from '../plot.ts'
import { type Contestant, ratios, type Spread, spreadOf, takeTurns } from '../rounds.ts'

const opponents = ['float32', 'int8'] as const
type Opponent = (typeof opponents)[number]

/** One backend's forward pass, in milliseconds a call, and how many times as fast it is as the opponents. */
export interface Pass {
  readonly backend: Backend
  readonly milliseconds: Spread
  readonly faster: Readonly<Record<Opponent, Spread>>
}

/** All contestants of one network at one batch size. */
export interface Contest {
  readonly network: Network
  readonly rows: number
  readonly passes: readonly Pass[]
  /** Milliseconds a call. */
  readonly opponents: Readonly<Record<Opponent, Spread>>
}

/** Its backends as bars, and ONNX Runtime's int8 beside them. */
export function barsOf({ network, rows, opponents, passes }: Contest): BarGroup {
  const bar = (label: string, ratio: number, isOurs: boolean): Bar => ({
    label,
    value: ratio,
    text: `${ratio.toFixed(1)}×`,
    isOurs,
  })
  return {
    title: `${network.name}, ${rows === 1 ? 'one row' : `${rows} rows a call`}`,
    bars: [
      ...passes.map(({ backend, faster }) => bar(backend, faster.float32.median, true)),
      bar('ORT int8', opponents.float32.median / opponents.int8.median, false),
      bar('ORT float32', 1, false),
    ],
  }
}

interface Goal {
  readonly network: Network
  readonly rows: number
  readonly against: Opponent
  readonly atLeast: Readonly<Partial<Record<Backend, number | CoreGoal>>>
}

/** Goals were set for AMD's Zen 5 and for Intel. */
interface CoreGoal {
  readonly zen5: number
  readonly others: number
}

const goals: readonly Goal[] = [
  {
    network: vggSmall,
    rows: 1,
    against: 'float32',
    atLeast: { avx512: { zen5: 21, others: 12 }, avx2: 3.5, wasm: 2.2 },
  },
  { network: vggSmall, rows: 1, against: 'int8', atLeast: { avx512: 5, avx2: 0.9 } },
  {
    network: vggSmall,
    rows: 16,
    against: 'float32',
    atLeast: { avx512: { zen5: 21, others: 12 }, avx2: 3.5, wasm: 2.2 },
  },
  { network: resnet18, rows: 1, against: 'float32', atLeast: { avx512: { zen5: 12, others: 8 } } },
  { network: lenet, rows: 1, against: 'float32', atLeast: { avx512: 5, avx2: 3, wasm: 2 } },
]

export async function measureForward(bench: Bench): Promise<readonly Contest[]> {
  const contests: Contest[] = []
  for (const network of bench.networks) {
    for (const rows of network === vggSmall ? [1, 16] : [1]) {
      contests.push(await contest(bench, network, rows))
      await bench.peak.measure()
    }
  }
  return contests
}

async function contest(bench: Bench, network: Network, rows: number): Promise<Contest> {
  const { backends, rounds } = bench
  const model = bench.model(network, 'binary')
  const arena = openArena(model, Math.max(rows, model.check.rows))
  const pixels = new Random(seed).bytes(rows * arena.plan.rowBytes)
  const ours = backends.map((backend): Contestant => {
    const { slot } = openRunner(arena, backend)
    verifyNetwork(slot, model.check)
    return { name: backend.name, run: () => slot.classify(pixels, rows, 1) }
  })
  const random = new Random(seed)
  const float = floatTwin(network, 'batch', seed)
  const int8 = int8Twin(float, await calibrate(float, randomImage(float, 8, random)))
  const image = randomImage(float, rows, random)
  const sessions = { float32: await openSession(float), int8: await openSession(int8) }
  const theirs = opponents.map((name): Contestant => {
    const session: InferenceSession = sessions[name]
    return { name, run: () => session.run({ [IMAGE]: image }) }
  })
  const measured = await takeTurns([...theirs, ...ours], rounds)
  for (const name of opponents) await sessions[name].release()
  const [float32Times, int8Times, ...ourTimes] = measured
  return {
    network,
    rows,
    opponents: { float32: spreadOf(float32Times), int8: spreadOf(int8Times) },
    passes: backends.map(({ name }, index) => ({
      backend: name,
      milliseconds: spreadOf(ourTimes[index]),
      faster: {
        float32: spreadOf(ratios(float32Times, ourTimes[index])),
        int8: spreadOf(ratios(int8Times, ourTimes[index])),
      },
    })),
  }
}

export function forwardSection(contests: readonly Contest[], cpu: Cpu): string {
  return `### Against ONNX Runtime

${notes(cpu)}

${table(
  ['network', 'rows', 'backend', '× ORT float32', 'goal', 'met', '× ORT int8', 'goal', 'met'],
  contests.flatMap(contest =>
    contest.passes.map(pass => [
      contest.network.name,
      String(contest.rows),
      pass.backend,
      ...opponents.flatMap(against => judged(contest, pass, against, cpu)),
    ]),
  ),
)}

Milliseconds a row:

${table(
  ['network', 'rows', 'contestant', 'ms a row'],
  contests.flatMap(({ network, rows, opponents: { float32, int8 }, passes }) =>
    [
      { name: 'ORT float32', milliseconds: float32 },
      { name: 'ORT int8', milliseconds: int8 },
      ...passes.map(({ backend, milliseconds }) => ({ name: backend, milliseconds })),
    ].map(({ name, milliseconds }) => [network.name, String(rows), name, spread(milliseconds, 1 / rows)]),
  ),
)}`
}

function judged(
  { network, rows }: Contest,
  { backend, faster }: Pass,
  against: Opponent,
  cpu: Cpu,
): string[] {
  const ratio = faster[against]
  const goal = goals.find(goal => goal.network === network && goal.rows === rows && goal.against === against)
  const wanted = goal?.atLeast[backend]
  if (wanted === undefined) return [times(ratio), '', '']
  const least = typeof wanted === 'number' ? wanted : cpu.isZen5 ? wanted.zen5 : wanted.others
  const isJudged = against === 'float32' || !cpu.hasAmx
  return [times(ratio), `≥ ${digits(least)}×`, isJudged ? verdict(ratio.median >= least) : 'not judged']
}

function notes({ isZen5, hasAmx }: Cpu): string {
  return [
    `Whole calls from JavaScript: \`slot.classify\` with pixels and logits copied, \`session.run\` with its input ready as a
tensor. The twins have the same shapes in float32 (convolution with folded batch norm, ReLU, pools, zero padding) and
int8 (weights a channel, activations a tensor, quantized in ONNX Runtime's own form); the tests read in its profile
that they run fused, and on integer kernels.`,
    isZen5
      ? "The goals of `avx512` against float32 are those of AMD's Zen 5."
      : "The goals of `avx512` against float32 are those set for Intel's cores; AMD's Zen 5 has higher ones, and other cores of AMD have none of their own. No other engine for binarized networks is among the contestants.",
    ...(hasAmx ? ['This CPU has AMX, which int8 networks use; no goal is set against them here.'] : []),
  ].join(' ')
}
