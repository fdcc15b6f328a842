/** How long a server takes to be ready, and how much memory it keeps: idle, under load, and for how long. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { digits, percent, table, verdict } from '../../markdown.ts'
import { spreadOf } from '../../rounds.ts'
import { plotOverTime } from '../../time-plot.ts'
import { type HttpBench, launchXnord, type Section, sampleImages } from '../bench.ts'
import { type ServerProcess, startServer } from '../process.ts'
import { greyPngs, multipart } from '../requests.ts'
import { putUnderLoad } from '../wrk.ts'

const side = 28
const MB = 1e6
const goals = { start: 1000, memory: 150, drift: 0.05 }
const loadSeconds = 20
const secondsPerSample = 1
const plotFile = 'benchmarks-memory.svg'

export interface StartOptions {
  /** Of load, for the memory's drift; 0 for none. */
  readonly soakSeconds: number
  /** The folder of the plot. */
  readonly out: string
}

export async function measureStart(bench: HttpBench, { soakSeconds, out }: StartOptions): Promise<Section> {
  const { models, rounds, connections } = bench
  const launch = launchXnord(bench, models, 9861, { XNORD_WORKERS: '2', XNORD_DRAIN_SECONDS: '0' })
  const starts = new Float64Array(rounds)
  const idle = new Float64Array(rounds)
  for (let round = 0; round < rounds; round++) {
    const server = await startServer(launch)
    starts[round] = server.startMilliseconds
    idle[round] = server.residentBytes() / MB
    await server.stop()
  }
  const server = await startServer(launch)
  const resident = await residentUnderLoad(server, bench, soakSeconds || loadSeconds)
  await server.stop()

  const start = spreadOf(starts).median
  const atRest = spreadOf(idle).median
  const most = Math.max(...resident)
  const rows = [
    ['start to ready, ms', digits(start), `< ${goals.start}`, verdict(start < goals.start)],
    ['resident memory when ready, MB', digits(atRest), `< ${goals.memory}`, verdict(atRest < goals.memory)],
    ['resident memory under load, most, MB', digits(most), `< ${goals.memory}`, verdict(most < goals.memory)],
  ]
  if (soakSeconds > 0) {
    const drift = driftOf(resident)
    rows.push([
      `its largest distance from its median in ${soakSeconds} s`,
      percent(drift),
      `≤ ${percent(goals.drift)}`,
      verdict(drift <= goals.drift),
    ])
    const title = `Resident memory under ${connections} connections of multipart PNGs`
    const plot = {
      title,
      unit: 'MB',
      values: resident,
      secondsPerValue: secondsPerSample,
      goal: goals.memory,
    }
    writeFileSync(join(out, plotFile), plotOverTime(plot))
  }
  const text = `### Start and memory

The models that ship, 2 workers, all threads on one core. Starts, and memory when ready, are medians of ${rounds}; the load is
${connections} connections of multipart PNGs for ${soakSeconds || loadSeconds} s, during which memory is read every ${secondsPerSample} s.

${table(['what', 'measured', 'goal', 'met'], rows)}${soakSeconds > 0 ? `\n\n![Memory over time](${plotFile})` : ''}`
  return { text, groups: [] }
}

/** In MB, one value a second. */
async function residentUnderLoad(
  server: ServerProcess,
  { loadCore, connections }: HttpBench,
  seconds: number,
): Promise<readonly number[]> {
  const resident: number[] = []
  const sampling = setInterval(() => resident.push(server.residentBytes() / MB), 1000 * secondsPerSample)
  try {
    const request = multipart('/predict', greyPngs(sampleImages(32, side * side), side, side))
    await putUnderLoad(server.url, request, { core: loadCore, connections, seconds })
  } finally {
    clearInterval(sampling)
  }
  return resident
}

/** The first tenth warms up: code is compiled, and heaps find their size. */
function driftOf(resident: readonly number[]): number {
  const settled = Float64Array.from(resident.slice(Math.ceil(resident.length / 10)))
  const middle = spreadOf(settled).median
  return Math.max(Math.max(...settled) - middle, middle - Math.min(...settled)) / middle
}
