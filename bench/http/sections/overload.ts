/** What happens at 70 % of what the server can do, and at twice as much as it can. */

import { digits, percent, table, verdict } from '../../markdown.ts'
import type { BarGroup } from '../../plot.ts'
import { spreadOf } from '../../rounds.ts'
import { type HttpBench, launchXnord, type Section, sampleImages } from '../bench.ts'
import { launchConstant } from '../launch-constant.ts'
import { type OpenLoopResult, openOpenLoop } from '../open-loop.ts'
import { startServer } from '../process.ts'
import { type Request, rawPixels } from '../requests.ts'
import { putUnderLoad } from '../wrk.ts'

const side = 28
const calm = 0.7
const overload = 2
/** Connections of the open loop: at twice the capacity, some 10 ms of what arrives. */
const clients = 256
/** Rows that may wait, as an operator sets it who cares for latency: some milliseconds' worth. */
const queueRows = 16

/** Of the answers of one status in all rounds: how many, and medians of the rounds' figures. Milliseconds. */
interface Latencies {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly longest: number
}

export async function measureOverload(bench: HttpBench): Promise<Section> {
  const { models, loadCore, connections, rounds, seconds } = bench
  const openLoop = await openOpenLoop()
  if (openLoop === null) {
    return {
      text: '### At random times\n\nNot measured: there is no C++ compiler for the generator.',
      groups: [],
    }
  }
  const server = await startServer(launchXnord(bench, models, 9851, { XNORD_QUEUE_ROWS: String(queueRows) }))
  const images = sampleImages(32, side * side)
  const request = rawPixels('/predict?members=1', images)
  const load = { core: loadCore, connections, seconds }
  await putUnderLoad(server.url, request, { ...load, seconds: 3 })
  const constant = await startServer(launchConstant(bench, 'bare-server', 9852, '/ready'))
  const constantRequest = rawPixels('/constant/body', images)
  await putUnderLoad(constant.url, constantRequest, { ...load, seconds: 3 })
  const capacities: number[] = []
  const quiet: OpenLoopResult[] = []
  const busy: OpenLoopResult[] = []
  const bare: OpenLoopResult[] = []
  for (let round = 0; round < rounds; round++) {
    // Of each round its own: the machine's speed drifts.
    const capacity = (await putUnderLoad(server.url, request, load)).requestsPerSecond
    capacities.push(capacity)
    const arrive = (url: string, asked: Request, share: number) =>
      openLoop.arriveAtRandom(url, asked, {
        core: loadCore,
        connections: clients,
        rate: capacity * share,
        warmUpSeconds: 1,
        seconds,
        seed: round + 1,
      })
    quiet.push(await arrive(server.url, request, calm))
    busy.push(await arrive(server.url, request, overload))
    bare.push(await arrive(constant.url, constantRequest, calm))
  }
  await server.stop()
  await constant.stop()
  openLoop.close()

  const calmLatency = latenciesOf(quiet, '200')
  const busyLatency = latenciesOf(busy, '200')
  const refused = latenciesOf(busy, '503')
  const sent = sum([...quiet, ...busy].map(result => result.sent))
  const lost = sum([...quiet, ...busy].map(result => result.lost))
  const checks: readonly (readonly [string, string, string, boolean])[] = [
    [
      'p99 ≤ 5 × p50 at 70 %',
      measured(calmLatency.p99 / calmLatency.p50),
      '5',
      calmLatency.p99 <= 5 * calmLatency.p50,
    ],
    ['p99 ≤ 10 ms at 70 %', measured(calmLatency.p99, ' ms'), '10 ms', calmLatency.p99 <= 10],
    [
      'p99 of the accepted at 200 %, over that at 70 %',
      measured(busyLatency.p99 / calmLatency.p99),
      '3',
      busyLatency.p99 <= 3 * calmLatency.p99,
    ],
    ['p99 of a 503 at 200 %', measured(refused.p99, ' ms'), '10 ms', refused.p99 < 10],
    ['lost, of all that were sent', `${lost} of ${sent}`, '0', lost === 0],
  ]
  const text = `### At random times

Requests arrive by a Poisson process, whether or not those before have been answered, over ${clients} connections that are
kept, and their latency counts from when they were due. The server's capacity is what ${connections} connections in a
closed loop get out of it, measured anew in each of ${rounds} rounds: ${digits(median(capacities))} requests a second. Raw pixels, one
member, XNORD_QUEUE_ROWS=${queueRows}; ${seconds} s each, after a second to warm up. Figures are medians of the rounds.

${table(
  ['load', 'sent', 'status', 'answers', 'p50 ms', 'p99 ms', 'longest ms', 'left late, p99 ms'],
  [
    ...rowsOf(percent(calm), quiet),
    ...rowsOf(percent(overload), busy),
    ...rowsOf(`${percent(calm)}, bare`, bare),
  ],
)}

The last row is what this machine does to anybody: as many requests a second as in the first one, at bare Fastify, which
answers a constant and has far less to do. What leaves late has waited for a connection, or for the
generator.

${table(
  ['what', 'measured', 'goal', 'met'],
  checks.map(([what, figure, goal, met]) => [what, figure, goal, verdict(met)]),
)}`
  return {
    text,
    groups: [
      latencyBars(`At ${percent(calm)} of the capacity: latency of answers`, calmLatency),
      latencyBars(`At ${percent(overload)}: latency of answers`, busyLatency),
      latencyBars(`At ${percent(overload)}: latency of refusals`, refused),
    ],
  }
}

/** NaN where no round has an answer of the status. */
function latenciesOf(results: readonly OpenLoopResult[], status: string): Latencies {
  const answered = results.flatMap(result => result.answered[status] ?? [])
  return {
    count: sum(answered.map(({ count }) => count)),
    p50: median(answered.flatMap(({ p50 }) => p50 ?? [])),
    p99: median(answered.flatMap(({ p99 }) => p99 ?? [])),
    longest: Math.max(...answered.map(({ max }) => max ?? 0)),
  }
}

function rowsOf(load: string, results: readonly OpenLoopResult[]): readonly string[][] {
  const statuses = new Set(results.flatMap(({ answered }) => Object.keys(answered)))
  const sent = sum(results.map(result => result.sent))
  return Array.from(statuses, status => {
    const { count, p50, p99, longest } = latenciesOf(results, status)
    const late = median(results.flatMap(({ behind }) => behind.p99 ?? []))
    const figures = [p50, p99, longest, late]
    return [load, String(sent), status, String(count), ...figures.map(figure => measured(figure))]
  })
}

function latencyBars(title: string, { p50, p99 }: Latencies): BarGroup {
  const bar = (label: string, value: number) => ({ label, value, text: measured(value, ' ms'), isOurs: true })
  return { title, bars: Number.isNaN(p99) ? [] : [bar('p50', p50), bar('p99', p99)] }
}

/** What is of no answer cannot be measured. */
function measured(figure: number, unit = ''): string {
  return Number.isNaN(figure) ? 'no such answer' : `${digits(figure)}${unit}`
}

function median(values: readonly number[]): number {
  return values.length === 0 ? Number.NaN : spreadOf(Float64Array.from(values)).median
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
