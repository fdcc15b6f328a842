/** A network that computes for half a millisecond: what a batch loses to HTTP. */

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { percent, spread, table, verdict } from '../../markdown.ts'
import { ratios, spreadOf } from '../../rounds.ts'
import { type HttpBench, launchXnord, sampleImages } from '../bench.ts'
import { startServer } from '../process.ts'
import { binaryTensor } from '../requests.ts'
import { vggName } from '../vgg-repository.ts'
import { putUnderLoad } from '../wrk.ts'

const bareProcess = fileURLToPath(new URL('../bare-process.ts', import.meta.url))
const batch = 64
const side = 32
const rowBytes = side * side * 3

/** @param models the folder that holds the network */
export async function measureVgg(bench: HttpBench, models: string): Promise<string> {
  const server = await startServer(launchXnord(bench, models, 9811))
  const { served, bare, share } = await measureBatches(bench, models, server.url)
  await server.stop()
  return `### VGG-Small

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
)}`
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
