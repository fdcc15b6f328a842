/** What happens at 70 % of what the server can do, and at twice as much as it can. */

import { digits, percent, table, verdict } from '../../markdown.ts'
import { type HttpBench, launchXnord, sampleImages } from '../bench.ts'
import { arriveAtRandom, type Latency, type OpenLoopResult } from '../open-loop.ts'
import { startServer } from '../process.ts'
import { rawPixels } from '../requests.ts'
import { putUnderLoad } from '../wrk.ts'

const side = 28
const calm = 0.7
const overload = 2
/** Connections of the open loop: at twice the capacity more than 10 ms of what arrives. */
const clients = 256
/** Rows that may wait: a fraction of a second's worth, as an operator who cares for latency sets it. */
const queueRows = 64
/** Where no request was answered with 200: it is below no limit. */
const noAnswer: Latency = { count: 0, p50: Number.NaN, p99: Number.NaN, max: Number.NaN }

export async function measureOverload(bench: HttpBench): Promise<string> {
  const { models, loadCore, connections, seconds } = bench
  const server = await startServer(launchXnord(bench, models, 9851, { XNORD_QUEUE_ROWS: String(queueRows) }))
  const request = rawPixels('/predict?members=1', sampleImages(32, side * side))
  const load = { core: loadCore, connections, seconds }
  await putUnderLoad(server.url, request, { ...load, seconds: 2 })
  const capacity = (await putUnderLoad(server.url, request, load)).requestsPerSecond
  const at = (share: number) =>
    arriveAtRandom(server.url, request, {
      core: loadCore,
      connections: clients,
      rate: capacity * share,
      warmUpSeconds: 1,
      seconds: 2 * seconds,
      seed: 1,
    })
  const quiet = await at(calm)
  const busy = await at(overload)
  await server.stop()

  const calmLatency = quiet.answered['200'] ?? noAnswer
  const busyLatency = busy.answered['200'] ?? noAnswer
  const refused = busy.answered['503']
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
    [
      'p99 of a 503 at 200 %',
      refused === undefined ? 'none was sent' : `${digits(refused.p99)} ms`,
      '10 ms',
      refused !== undefined && refused.p99 < 10,
    ],
    [
      'lost, of all that were sent',
      `${quiet.lost + busy.lost} of ${quiet.sent + busy.sent}`,
      '0',
      quiet.lost + busy.lost === 0,
    ],
  ]
  return `### At random times

Requests arrive by a Poisson process, whether or not those before have been answered, and their latency counts from when
they were due. ${digits(capacity)} requests a second is the server's capacity, by ${connections} connections in a closed
loop; raw pixels, one member, XNORD_QUEUE_ROWS=${queueRows}.

${table(
  ['load', 'sent', 'status', 'answers', 'p50 ms', 'p99 ms', 'longest ms'],
  [...rowsOf(calm, quiet), ...rowsOf(overload, busy)],
)}

${table(
  ['what', 'measured', 'goal', 'met'],
  checks.map(([what, measured, goal, met]) => [what, measured, goal, verdict(met)]),
)}`
}

function measured(value: number, unit = ''): string {
  return Number.isNaN(value) ? 'no answer with 200' : `${digits(value)}${unit}`
}

function rowsOf(share: number, { sent, answered }: OpenLoopResult): readonly string[][] {
  return Object.entries(answered).map(([status, { count, p50, p99, max }]) => [
    percent(share),
    String(sent),
    status,
    String(count),
    digits(p50),
    digits(p99),
    digits(max),
  ])
}
