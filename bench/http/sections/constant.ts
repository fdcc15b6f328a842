/** How much of an HTTP server's own speed is left when every request is classified. */

import { fileURLToPath } from 'node:url'
import { digits, percent, spread, table, verdict } from '../../markdown.ts'
import { type HttpBench, launchXnord, sampleImages } from '../bench.ts'
import { duel } from '../duel.ts'
import { startServer } from '../process.ts'
import { binaryTensor, greyPngs, multipart, type Request, rawPixels } from '../requests.ts'

const constantServer = fileURLToPath(new URL('../constant-server.ts', import.meta.url))
const side = 28

interface Case {
  readonly title: string
  readonly ours: Request
  readonly constant: Request
  readonly goal: number
}

export async function measureConstant(bench: HttpBench): Promise<string> {
  const { digits: model, rounds, seconds, connections, loadCore, serverCore } = bench
  const images = sampleImages(32, side * side)
  const pngs = greyPngs(images, side, side)
  const tensor = binaryTensor(`/v2/models/${model}/infer`, [1, side, side, 1], images, { members: 1 })
  const cases: readonly Case[] = [
    {
      title: '`/v2/…/infer`, binary tensor',
      ours: tensor,
      constant: { ...tensor, path: '/body' },
      goal: 0.45,
    },
    {
      title: '`/predict`, raw pixels',
      ours: rawPixels('/predict?members=1', images),
      constant: rawPixels('/body', images),
      goal: 0.45,
    },
    {
      title: '`/predict`, multipart PNG',
      ours: multipart('/predict?members=1', pngs),
      constant: multipart('/multipart', pngs),
      goal: 0.3,
    },
  ]
  const ours = await startServer(launchXnord(bench, bench.models, 9801))
  const constant = await startServer({
    core: serverCore,
    port: 9802,
    command: [process.execPath, '--import', 'tsx', constantServer, '9802'],
    readyPath: '/ready',
  })
  const rows: string[][] = []
  for (const { title, ours: request, constant: same, goal } of cases) {
    const { sides, faster } = await duel(
      [
        { name: 'xnord', server: ours, request, rows: 1 },
        { name: 'constant', server: constant, request: same, rows: 1 },
      ],
      rounds,
      { core: loadCore, connections, seconds },
    )
    const [xnord, other] = sides
    rows.push([
      title,
      spread(xnord.requestsPerSecond),
      digits(xnord.cpuMicroseconds.median),
      spread(other.requestsPerSecond),
      digits(other.cpuMicroseconds.median),
      percent(faster[0].median),
      `≥ ${percent(goal)}`,
      verdict(faster[0].median >= goal),
      percent(Math.max(xnord.generatorBusy, other.generatorBusy)),
    ])
  }
  await ours.stop()
  await constant.stop()
  return `### Against a server that answers a constant

One row by one member of ${model} a request. The other server is Fastify alone with the same Node.js, without a log: it
reads the same body, as a buffer or by the same multipart parser, and sends 120 bytes.

${table(
  ['request', 'requests/s', 'CPU µs', 'constant, requests/s', 'CPU µs', 'share', 'goal', 'met', 'wrk busy'],
  rows,
)}`
}
