/** A network that computes for half a millisecond: what a batch loses to HTTP, and what it gains over float32. */

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { encodePng, pngColour } from '../../../test/images/png.ts'
import { digits, percent, spread, table, times, verdict } from '../../markdown.ts'
import { ratios, spreadOf } from '../../rounds.ts'
import { type HttpBench, launchXnord, sampleImages } from '../bench.ts'
import { duel } from '../duel.ts'
import { startServer } from '../process.ts'
import { binaryTensor, multipart } from '../requests.ts'
import { vggName } from '../vgg-repository.ts'
import { putUnderLoad } from '../wrk.ts'

const bareProcess = fileURLToPath(new URL('../bare-process.ts', import.meta.url))
const batch = 64
const side = 32
const rowBytes = side * side * 3

/** @param models the folder that holds the network */
export async function measureVgg(bench: HttpBench, models: string): Promise<string> {
  const server = await startServer(launchXnord(bench, models, 9811))
  const ofBare = await measureBatches(bench, models, server.url)
  const { rounds, seconds, connections, loadCore } = bench
  const pngs = sampleImages(32, rowBytes).map(pixels =>
    encodePng({
      width: side,
      height: side,
      colour: pngColour.rgb,
      rows: Array.from({ length: side }, (_, y) => pixels.subarray(y * side * 3, (y + 1) * side * 3)),
    }),
  )
  const { sides, faster } = await duel(
    [
      { name: 'bits', server, request: multipart('/predict', pngs), rows: 1 },
      { name: 'float32', server, request: multipart('/predict?network=baseline', pngs), rows: 1 },
    ],
    rounds,
    { core: loadCore, connections, seconds },
  )
  await server.stop()
  return `### VGG-Small

Random weights, binary, images of 32 × 32 × 3. The bare forward pass is \`slot.classify\` on batches of ${batch} rows in
a process of its own on the server's core; the baseline answers in the same server, \`/predict?network=baseline\`.

${table(
  ['request', 'rows/s', 'compared with', 'rows/s', 'ratio', 'goal', 'met'],
  [
    [
      `\`/v2/…/infer\`, binary tensor, ${batch} rows`,
      spread(ofBare.served),
      'the bare forward pass',
      spread(ofBare.bare),
      percent(ofBare.share.median),
      '≥ 85 %',
      verdict(ofBare.share.median >= 0.85),
    ],
    [
      '`/predict`, multipart PNG, one row',
      spread(sides[0].rowsPerSecond),
      'the float32 baseline',
      spread(sides[1].rowsPerSecond),
      times(faster[0]),
      '≥ 4×',
      verdict(faster[0].median >= 4),
    ],
  ],
)}

A PNG request costs the server ${digits(sides[0].cpuMicroseconds.median)} µs of CPU by the discrete network, and
${digits(sides[1].cpuMicroseconds.median)} µs by the baseline.`
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
