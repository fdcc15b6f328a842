/** How long a server takes to be ready, and how much memory it keeps. */

import { digits, table, verdict } from '../../markdown.ts'
import { spreadOf } from '../../rounds.ts'
import { type HttpBench, launchXnord, type Section, sampleImages } from '../bench.ts'
import { startServer } from '../process.ts'
import { greyPngs, multipart } from '../requests.ts'
import { putUnderLoad } from '../wrk.ts'

const side = 28
const MB = 1e6

/** @param soakSeconds 0 for none */
export async function measureStart(bench: HttpBench, soakSeconds: number): Promise<Section> {
  const { models, rounds, loadCore, connections } = bench
  const launch = launchXnord(bench, models, 9861, { XNORD_WORKERS: '2' })
  const starts = new Float64Array(rounds)
  for (let round = 0; round < rounds; round++) {
    const server = await startServer(launch)
    starts[round] = server.startMilliseconds
    await server.stop()
  }
  const start = spreadOf(starts).median
  const rows = [
    ['start to ready, ms', digits(start), '1000', verdict(start < 1000)],
    ...(soakSeconds > 0 ? await soak() : []),
  ]
  const text = `### Start and memory

The model that ships, 2 workers; starts are medians of ${rounds}${soakSeconds > 0 ? `, and memory is what is resident under ${soakSeconds} seconds of multipart PNGs` : ''}.

${table(['what', 'measured', 'goal', 'met'], rows)}`
  return { text, groups: [] }

  async function soak(): Promise<readonly string[][]> {
    const server = await startServer(launch)
    const request = multipart('/predict', greyPngs(sampleImages(32, side * side), side, side))
    const slices = 20
    const resident: number[] = []
    for (let slice = 0; slice < slices; slice++) {
      await putUnderLoad(server.url, request, {
        core: loadCore,
        connections,
        seconds: Math.ceil(soakSeconds / slices),
      })
      resident.push(server.residentBytes() / MB)
    }
    await server.stop()
    // The first tenth warms up: code is compiled, and heaps find their size.
    const settled = resident.slice(slices / 10)
    const most = Math.max(...settled)
    const middle = spreadOf(Float64Array.from(settled)).median
    const drift = Math.max(most - middle, middle - Math.min(...settled)) / middle
    return [
      ['resident memory, most, MB', digits(most), '150', verdict(most < 150)],
      [
        'its largest distance from its median',
        `${(100 * drift).toFixed(1)} %`,
        '5 %',
        verdict(drift <= 0.05),
      ],
    ]
  }
}
