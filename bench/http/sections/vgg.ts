/** A network that computes for half a millisecond: what a batch loses to HTTP, and what an image gains over float32. */

import { execFile } from 'node:child_process'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { digits, percent, spread, table, times, verdict } from '../../markdown.ts'
import type { BarGroup } from '../../plot.ts'
import { ratios, spreadOf } from '../../rounds.ts'
import { type HttpBench, launchXnord, type Section, sampleImages } from '../bench.ts'
import { colourPngs } from '../colour-images.ts'
import { duel } from '../duel.ts'
import { type ServerProcess, startServer } from '../process.ts'
import { binaryTensor, multipart } from '../requests.ts'
import { vggName } from '../vgg-repository.ts'
import { putUnderLoad } from '../wrk.ts'

const bareProcess = fileURLToPath(new URL('../bare-process.ts', import.meta.url))
const batch = 64
const side = 32
const rowBytes = side * side * 3

/**
 * @param models the folder that holds the network
 * @param images a folder of PNG files; without it they are made up
 */
export async function measureVgg(
  bench: HttpBench,
  models: string,
  images: string | undefined,
): Promise<Section> {
  const files = await colourPngs(images, side)
  const server = await startServer(launchXnord(bench, models, 9811))
  const { served, bare, share } = await measureBatches(bench, models, server.url)
  const { sides, faster } = await measureNetworks(bench, server, files)
  const [bits, floats] = sides
  await server.stop()
  const source = images === undefined ? 'made-up photographs' : `from the folder \`${basename(images)}\``
  const text = `### VGG-Small

Random weights, binary, images of 32 × 32 × 3. The bare forward pass is \`slot.classify\` on batches of ${batch} rows in
a process of its own on the server's core.

${table(
  ['request', 'rows/s', 'bare forward pass, rows/s', 'share', 'goal', 'met'],
  [
    [
      `\`/v2/…/infer\`, binary tensor, ${batch} rows`,
      spread(served),
      spread(bare),
      percent(share.median),
      '≥ 85 %',
      verdict(share.median >= 0.85),
    ],
  ],
)}

Requests of one image each, ${source} (PNG, ${files.length} files in turn), answered by the same server: by one member of
the discrete network, and by its float32 baseline in ONNX Runtime, \`network=baseline\`.

${table(
  ['request', 'requests/s', 'CPU µs', 'baseline, requests/s', 'CPU µs', 'times as fast', 'goal', 'met'],
  [
    [
      '`/predict`, multipart PNG',
      spread(bits.requestsPerSecond),
      digits(bits.cpuMicroseconds.median),
      spread(floats.requestsPerSecond),
      digits(floats.cpuMicroseconds.median),
      times(faster(0, 1)),
      '≥ 4×',
      verdict(faster(0, 1).median >= 4),
    ],
  ],
)}`
  const group: BarGroup = {
    title: 'VGG-Small, /predict, multipart PNG: requests a second',
    bars: sides.map(({ requestsPerSecond: { median } }, index) => ({
      label: index === 0 ? 'discrete, one member' : 'float32 baseline',
      value: median,
      text: digits(median),
      isOurs: index === 0,
    })),
  }
  return { text, groups: [group] }
}

/** One image a request: the first side is answered by the discrete network, the second one by the baseline. */
function measureNetworks(
  { rounds, seconds, connections, loadCore }: HttpBench,
  server: ServerProcess,
  files: readonly Uint8Array[],
) {
  const sideOf = (name: string, query: string) => ({
    name,
    server,
    request: multipart(`/predict?${query}`, files),
    rows: 1,
  })
  const sides = [sideOf('discrete', 'members=1'), sideOf('baseline', 'network=baseline')]
  return duel(sides, rounds, { core: loadCore, connections, seconds })
}

async function measureBatches(bench: HttpBench, models: string, url: string) {
  const { rounds, seconds, connections, loadCore, serverCore } = bench
  const images = sampleImages(1, batch * rowBytes)
  const request = binaryTensor(`/v2/models/${vggName}/infer`, [batch, side, side, 3], images)
  const load = { core: loadCore, connections, seconds }
  await putUnderLoad(url, request, { ...load, seconds: 2 })
  const served = new Float64Array(rounds)
  const bare = new Float64Array(rounds)
  for (let round = 0; round < rounds; round++) {
    served[round] = (await putUnderLoad(url, request, load)).requestsPerSecond * batch
    bare[round] = await runBare(join(models, vggName, '1', 'model.safetensors'), serverCore, seconds)
  }
  return { served: spreadOf(served), bare: spreadOf(bare), share: spreadOf(ratios(served, bare)) }
}

async function runBare(file: string, core: number, seconds: number): Promise<number> {
  const command = [process.execPath, '--import', 'tsx', bareProcess, file, String(batch), String(seconds)]
  const { stdout } = await promisify(execFile)('taskset', ['-c', String(core), ...command])
  return JSON.parse(stdout) as number
}
