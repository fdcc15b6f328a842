/** The same digits by servers that people use for such models today, each at its fastest setting. */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { digits, spread, table, times, verdict } from '../../markdown.ts'
import type { Bar, BarGroup } from '../../plot.ts'
import { type HttpBench, launchXnord, type Section, sampleImages } from '../bench.ts'
import { duel, type Side } from '../duel.ts'
import { type Launch, startServer } from '../process.ts'
import { binaryTensor, greyPngs, jsonTensor, multipart, type Request } from '../requests.ts'
import { installRival, launchLitserve, launchMlserver, rivalPackages, type Twin } from '../rivals.ts'
import { putUnderLoad } from '../wrk.ts'

const side = 28
/** One network against one network, and all that the model states against one: as it answers who asks for nothing. */
const membersAsked = [1, 8]
/** Of LitServe; which is the fastest is found out. */
const batchSizes = [1, 8, 16]

export async function measureRivals(bench: HttpBench): Promise<Section> {
  const { digits: model, models, scratch, serverCore } = bench
  const file = join(models, model, '1', 'baseline.onnx')
  const twin: Twin = { file, height: side, width: side, channels: 1 }
  const images = sampleImages(32, side * side)
  const shape = [1, side, side, 1]
  const path = `/v2/models/${model}/infer`
  const fights: Fight[] = []

  const mlserver = installRival('mlserver')
  if (mlserver !== null) {
    const folder = join(scratch, 'mlserver')
    mkdirSync(folder, { recursive: true })
    const request = jsonTensor('/v2/models/float/infer', 'image', shape, images)
    fights.push(
      await against(
        bench,
        'MLServer',
        launchMlserver(mlserver, twin, folder, serverCore, 9831),
        request,
        membersAsked.flatMap(members => [
          {
            title: '`/v2/…/infer`, JSON',
            form: 'JSON',
            members,
            request: jsonTensor(path, 'image', shape, images, { members }, ['logits']),
            goal: 4,
          },
          {
            title: '`/v2/…/infer`, binary tensor, against its JSON',
            form: 'binary',
            members,
            request: binaryTensor(path, shape, images, { members }),
            goal: 10,
          },
        ]),
      ),
    )
  }

  const litserve = installRival('litserve')
  if (litserve !== null) {
    const pngs = greyPngs(images, side, side)
    const request = multipart('/predict', pngs)
    const launches = batchSizes.map(batch => launchLitserve(litserve, twin, batch, serverCore, 9841))
    const fastest = await fastestOf(bench, launches, request)
    fights.push(
      await against(
        bench,
        `LitServe, batches of up to ${batchSizes[fastest]}`,
        launches[fastest],
        request,
        membersAsked.map(members => ({
          title: '`/predict`, multipart PNG',
          form: 'PNG',
          members,
          request: multipart(`/predict?members=${members}`, pngs),
          goal: 6,
        })),
      ),
    )
  }
  if (fights.length === 0) return { text: '', groups: [] }
  const text = `### Against servers in Python

One row a request, one worker each on the same core; they run the model's float32 baseline in ONNX Runtime
(${[...rivalPackages.mlserver, ...rivalPackages.litserve].join(', ')}), xnord one member of the discrete
network, and all 8 that the model draws on where a request does not say. In JSON both give the logits. LitServe's batch size is the fastest of ${batchSizes.join(', ')}.

${table(
  ['request', 'members', 'requests/s', 'rival', 'requests/s', 'CPU µs', 'times as fast', 'goal', 'met'],
  fights.flatMap(({ rows }) => rows),
)}`
  return { text, groups: fights.map(({ group }) => group) }
}

interface Fight {
  /** Of the table. */
  readonly rows: readonly string[][]
  readonly group: BarGroup
}

interface Contest {
  readonly title: string
  /** For a plot. */
  readonly form: string
  readonly members: number
  readonly request: Request
  readonly goal: number
}

async function against(
  bench: HttpBench,
  name: string,
  launch: Launch,
  request: Request,
  contests: readonly Contest[],
): Promise<Fight> {
  const { rounds, seconds, connections, loadCore, models } = bench
  const xnord = await startServer(launchXnord(bench, models, 9821))
  const rival = await startServer(launch)
  const sides: readonly Side[] = [
    ...contests.map(contest => ({ name: contest.title, server: xnord, request: contest.request, rows: 1 })),
    { name, server: rival, request, rows: 1 },
  ]
  const result = await duel(sides, rounds, { core: loadCore, connections, seconds })
  await xnord.stop()
  await rival.stop()
  const theirs = result.sides.at(-1)!
  const rows = contests.map(({ title, members, goal }, index) => [
    title,
    String(members),
    spread(result.sides[index].requestsPerSecond),
    name,
    spread(theirs.requestsPerSecond),
    digits(theirs.cpuMicroseconds.median),
    times(result.faster(index, contests.length)),
    `≥ ${goal}×`,
    verdict(result.faster(index, contests.length).median >= goal),
  ])
  const bars = result.sides.map(({ requestsPerSecond: { median } }, index): Bar => {
    const contest = contests[index]
    const label = contest === undefined ? name : `${contest.form}, ${contest.members} of 8 members`
    return { label, value: median, text: digits(median), isOurs: contest !== undefined }
  })
  return { rows, group: { title: `Against ${name}: requests a second`, bars } }
}

async function fastestOf(bench: HttpBench, launches: readonly Launch[], request: Request): Promise<number> {
  const rates: number[] = []
  for (const launch of launches) {
    const server = await startServer(launch)
    const load = { core: bench.loadCore, connections: bench.connections, seconds: bench.seconds }
    await putUnderLoad(server.url, request, { ...load, seconds: 2 })
    rates.push((await putUnderLoad(server.url, request, load)).requestsPerSecond)
    await server.stop()
  }
  return rates.indexOf(Math.max(...rates))
}
