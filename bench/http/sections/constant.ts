/** How much of an HTTP server's own speed is left when every request is classified. */

import { digits, percent, plain, spread, table, verdict } from '../../markdown.ts'
import type { BarGroup } from '../../plot.ts'
import { type HttpBench, launchXnord, type Section, sampleImages } from '../bench.ts'
import { duel } from '../duel.ts'
import { launchConstant } from '../launch-constant.ts'
import { startServer } from '../process.ts'
import { binaryTensor, greyPngs, multipart, type Request, rawPixels } from '../requests.ts'

const side = 28
const names = ['xnord', 'same app, constant', 'bare Fastify, constant'] as const

interface Case {
  readonly title: string
  readonly ours: Request
  readonly constant: Request
  /** The share of the same app's requests a second. */
  readonly goal: number
}

export async function measureConstant(bench: HttpBench): Promise<Section> {
  const { digits: model, rounds, seconds, connections, loadCore } = bench
  const images = sampleImages(32, side * side)
  const pngs = greyPngs(images, side, side)
  const tensor = binaryTensor(`/v2/models/${model}/infer`, [1, side, side, 1], images, { members: 1 })
  const cases: readonly Case[] = [
    {
      title: '`/v2/…/infer`, binary tensor',
      ours: tensor,
      constant: { ...tensor, path: '/constant/body' },
      goal: 0.45,
    },
    {
      title: '`/predict`, raw pixels',
      ours: rawPixels('/predict?members=1', images),
      constant: rawPixels('/constant/body', images),
      goal: 0.45,
    },
    {
      title: '`/predict`, multipart PNG',
      ours: multipart('/predict?members=1', pngs),
      constant: multipart('/constant/multipart', pngs),
      goal: 0.3,
    },
  ]
  const xnord = await startServer(launchXnord(bench, bench.models, 9801))
  const same = await startServer(launchConstant(bench, 'same-server', 9802, '/v2/health/ready'))
  const bare = await startServer(launchConstant(bench, 'bare-server', 9803, '/ready'))
  const rows: string[][] = []
  const groups: BarGroup[] = []
  for (const { title, ours, constant, goal } of cases) {
    const { sides, faster } = await duel(
      [
        { name: names[0], server: xnord, request: ours, rows: 1 },
        { name: names[1], server: same, request: constant, rows: 1 },
        { name: names[2], server: bare, request: constant, rows: 1 },
      ],
      rounds,
      { core: loadCore, connections, seconds },
    )
    const share = faster(0, 1).median
    groups.push({
      title: `${plain(title)}: requests a second`,
      bars: sides.map(({ requestsPerSecond: { median } }, index) => ({
        label: names[index]!,
        value: median,
        text: digits(median),
        isOurs: index === 0,
      })),
    })
    rows.push([
      title,
      ...sides.flatMap(({ requestsPerSecond, cpuMicroseconds }) => [
        spread(requestsPerSecond),
        digits(cpuMicroseconds.median),
      ]),
      percent(share),
      `≥ ${percent(goal)}`,
      verdict(share >= goal),
      percent(faster(0, 2).median),
      percent(Math.max(...sides.map(({ generatorBusy }) => generatorBusy))),
    ])
  }
  for (const server of [xnord, same, bare]) await server.stop()
  const text = `### Against servers that answer a constant

One row by one member of ${model} a request. Two other servers read the same body, as a buffer or by the same multipart
parser, and send a constant of 100 bytes: the *same app*, xnord's own with its log, metrics, limits and headers, and
*bare* Fastify, which has none of these. The goals are of the same app, since what it does is asked of any server in
production; the share of bare Fastify is the price of all of it.

${table(
  [
    'request',
    'requests/s',
    'CPU µs',
    'same app, requests/s',
    'CPU µs',
    'bare, requests/s',
    'CPU µs',
    'share of the same app',
    'goal',
    'met',
    'share of bare',
    'wrk busy',
  ],
  rows,
)}`
  return { text, groups }
}
