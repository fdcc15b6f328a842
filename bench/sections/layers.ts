/** How near each layer comes to the bound of the machine. */

import { inferValues, isWeighted, type Operation, tapsOf } from '../../src/engine/graph.ts'
import type { Backend } from '../../src/engine/kernels/kernels.ts'
import { verifyNetwork } from '../../src/engine/network.ts'
import { stepAddress } from '../../src/engine/plan.ts'
import { openArena, openRunner } from '../arena.ts'
import type { Bench, Weights } from '../bench.ts'
import { digits, percent, spread, table, verdict } from '../markdown.ts'
import { type Network, vggSmall } from '../networks.ts'
import type { Peak, PeakMeter } from '../peak.ts'
import { type Contestant, type Spread, spreadOf, takeTurns } from '../rounds.ts'

export interface Layers {
  readonly backend: Backend
  readonly weights: Weights
  /** Of all steps in one call. */
  readonly whole: Spread
  /** Of each operation. */
  readonly milliseconds: readonly Spread[]
}

export interface LayersResult {
  readonly network: Network
  readonly layers: readonly Layers[]
}

const goals = { inner: 0.9, whole: 0.78 }

/** Each step alone, by its own call into the kernels; the steps before it have just run, so that its input is there. */
export async function measureLayers(bench: Bench): Promise<LayersResult> {
  const { backends, networks, rounds, peak } = bench
  const [network] = networks
  const layers: Layers[] = []
  for (const weights of ['binary', 'ternary'] as const) {
    const model = bench.model(network, weights)
    const { plan, ...arena } = openArena(model, model.check.rows)
    for (const backend of backends) {
      const { kernels, slot } = openRunner({ plan, ...arena }, backend)
      verifyNetwork(slot, model.check)
      const step = (first: number, steps: number) => () =>
        kernels.run(stepAddress(plan, 0, first), steps, plan.slotsAddress, 1)
      const contestants: readonly Contestant[] = [
        { name: 'whole', run: step(0, plan.stepsPerMember) },
        ...plan.operationNames.map((name, operation) => ({
          name,
          run: step(plan.firstOperation + operation, 1),
        })),
      ]
      const [whole, ...milliseconds] = (await takeTurns(contestants, rounds)).map(spreadOf)
      layers.push({ backend: backend.name, weights, whole, milliseconds })
      await peak.measure()
    }
  }
  return { network, layers }
}

/** 64-bit words that are xored, counted and added for a row; a word and its mask are one. 0 where no bits are summed. */
function wordOperations({ input, operations }: Network): readonly number[] {
  const { values } = inferValues(input, operations)
  return operations.map((operation: Operation) => {
    const source = values.get(operation.input)!
    if (!isWeighted(operation) || source.type !== 'bits') return 0
    const { height, width, channels } = values.get(operation.name)!
    const pool = operation.op === 'conv2d' ? operation.pool : 1
    return height * width * channels * pool ** 2 * Math.ceil(tapsOf(operation, source) / 64)
  })
}

interface Line {
  readonly name: string
  readonly milliseconds: string
  readonly words: number
  /** Word operations over time over the peak; null where there are none, or no peak is known. */
  readonly share: number | null
}

/** The layers, the convolutions on bits together, and the whole. */
function linesOf({ operations }: Network, words: readonly number[], layers: Layers, peak: Peak | undefined) {
  const shareOf = (count: number, milliseconds: number) =>
    peak === undefined || count === 0 ? null : count / (milliseconds / 1000) / peak.wordOperationsPerSecond
  const layerLines = operations.map(({ name }, index): Line => {
    const time = layers.milliseconds[index]
    return {
      name,
      milliseconds: spread(time),
      words: words[index],
      share: shareOf(words[index], time.median),
    }
  })
  const indices = operations.flatMap(({ op }, index) => (op === 'conv2d' && words[index] > 0 ? [index] : []))
  const innerWords = indices.reduce((sum, index) => sum + words[index], 0)
  const innerTime = indices.reduce((sum, index) => sum + layers.milliseconds[index].median, 0)
  const allWords = words.reduce((sum, count) => sum + count, 0)
  const innerLine: Line = {
    name: 'convolutions on bits',
    milliseconds: digits(innerTime),
    words: innerWords,
    share: shareOf(innerWords, innerTime),
  }
  const whole: Line = {
    name: 'whole',
    milliseconds: spread(layers.whole),
    words: allWords,
    share: shareOf(allWords, layers.whole.median),
  }
  return { lines: [...layerLines, innerLine, whole], inner: innerLine, whole }
}

export function layersSection({ network, layers }: LayersResult, peak: PeakMeter): string {
  const words = wordOperations(network)
  const measured = layers.map(layers => ({
    title: `${layers.backend}, ${layers.weights}`,
    backend: layers.backend,
    ...linesOf(network, words, layers, peakFor(layers, peak)),
  }))
  const [fastest] = measured
  const others = measured.filter(({ backend }) => backend !== fastest.backend)
  return [
    `### The bound

What a core could do if all words lay in registers, by \`bench/peak.cpp\`: its fastest sample, of about a millisecond, in
${peak.runs} runs among the measurements of this page, with whichever number of accumulators gave it. A word operation is 64
bits that are xored, counted and added: 64 multiply-adds.`,
    peakTable(peak),
    `### Layers of ${network.name}

One row, milliseconds; each step by a call of its own into the kernels, with the share of the backend's peak that its
word operations reach. The convolutions on bits together are the sum of the medians of those layers. The whole is all
steps in one call; its share counts the word operations on bits alone, so that the first layer, on pixels, is all loss.
A ternary word and its mask count as one word operation, and are held to the peak of masked words where there is one.
Where bits are counted by look-ups, a kernel can pass the peak: a full adder lets two words share a count.`,
    ...measured
      .filter(({ backend }) => backend === fastest.backend)
      .map(({ title, lines }) => `#### ${title}\n\n${detailTable(lines)}`),
    ...(network === vggSmall && fastest.whole.share !== null ? [judgement(fastest)] : []),
    ...(others.length === 0 ? [] : ['#### Other backends', compactTable(others)]),
  ].join('\n\n')
}

/** Where a mask costs by itself, words with one have a peak of their own. */
function peakFor({ backend, weights }: Layers, { peaks }: PeakMeter): Peak | undefined {
  const plain = peaks.get(backend)
  return weights === 'ternary' ? (peaks.get(`${backend} masked`) ?? plain) : plain
}

function peakTable({ peaks }: PeakMeter): string {
  return table(
    ['peak', 'operations', 'accumulators', 'G word operations a second', 'G multiply-adds a second'],
    [...peaks].map(([name, { what, chains, wordOperationsPerSecond }]) => [
      name,
      what,
      String(chains),
      digits(wordOperationsPerSecond / 1e9),
      digits((64 * wordOperationsPerSecond) / 1e9),
    ]),
  )
}

function detailTable(lines: readonly Line[]): string {
  return table(
    ['layer', 'ms', 'word operations', 'of the peak'],
    lines.map(({ name, milliseconds, words, share }) => [
      name,
      milliseconds,
      words === 0 ? '–' : String(words),
      share === null ? '–' : percent(share),
    ]),
  )
}

function compactTable(
  measured: readonly { readonly title: string; readonly lines: readonly Line[] }[],
): string {
  const cell = ({ milliseconds, share }: Line) =>
    share === null ? milliseconds : `${milliseconds}, ${percent(share)}`
  return table(
    ['layer', ...measured.map(({ title }) => title)],
    measured[0].lines.map(({ name }, index) => [name, ...measured.map(({ lines }) => cell(lines[index]))]),
  )
}

function judgement({ title, inner, whole }: { title: string; inner: Line; whole: Line }): string {
  return table(
    [`share of the peak, ${title}`, 'measured', 'goal', 'met'],
    [
      [inner.name, inner.share!, goals.inner],
      [whole.name, whole.share!, goals.whole],
    ].map(([name, share, goal]) => [
      String(name),
      percent(Number(share)),
      `≥ ${percent(Number(goal))}`,
      verdict(Number(share) >= Number(goal)),
    ]),
  )
}
