/**
 * Posts every image of a labelled IDX file, or every test image of what `lrnet pack` wrote, as PNG through
 * `POST /predict` and prints how many are answered rightly.
 *
 *     npm run bench:accuracy -- --images FILE --labels FILE --url http://127.0.0.1:8080 --model mnist \
 *       --members 1,8 --out DIR
 *     npm run bench:accuracy -- --data FILE.npz --model NAME --members 1,8 --out DIR
 *
 * For each number of members k, DIR/labels-k.txt gets the answered labels, one a line in the order of the images.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { encodePng, pngColour } from '../test/images/png.ts'
import { readIdxImages, readIdxLabels } from './idx.ts'
import { type LabelledImages, readPackedTest } from './packed.ts'

interface Target {
  readonly url: string
  readonly model: string
  readonly members: number
}

/** What is read of an answer; a row that failed has an error instead of a label. */
interface Answer {
  readonly predictions: readonly {
    readonly label?: string
    readonly index?: number
    readonly error?: unknown
  }[]
}

interface Answered {
  readonly label: string
  readonly index: number
}

const maxFilesPerRequest = 50
/** Of pixels, which hardly grow as PNG: four such requests at a time stay far below the server's limits. */
const maxBytesPerRequest = 2 ** 23
const connections = 4
const attempts = 20

const { values } = parseArgs({
  options: {
    images: { type: 'string' },
    labels: { type: 'string' },
    data: { type: 'string' },
    url: { type: 'string', default: 'http://127.0.0.1:8080' },
    model: { type: 'string' },
    members: { type: 'string', default: '1' },
    out: { type: 'string' },
  },
})
const { model, out } = values
if (model === undefined || out === undefined) throw new Error('--model and --out are needed.')
const images = await readImages()
await mkdir(out, { recursive: true })
for (const members of values.members.split(',').map(Number)) {
  const start = performance.now()
  const answers = await classify(images, { url: values.url, model, members })
  const seconds = (performance.now() - start) / 1000
  const right = answers.filter(({ index }, image) => index === images.labels[image]).length
  await writeFile(join(out, `labels-${members}.txt`), answers.map(({ label }) => `${label}\n`).join(''))
  const accuracy = ((100 * right) / images.count).toFixed(2)
  console.log(
    `members ${members}: ${accuracy} % (${right} of n = ${images.count}), ${seconds.toFixed(1)} s over HTTP`,
  )
}

async function readImages(): Promise<LabelledImages> {
  const { images: imagesFile, labels: labelsFile, data } = values
  if (data !== undefined && imagesFile === undefined && labelsFile === undefined) return readPackedTest(data)
  if (data !== undefined || imagesFile === undefined || labelsFile === undefined) {
    throw new Error('Either --data or both --images and --labels are needed.')
  }
  const images = await readIdxImages(imagesFile)
  const labels = await readIdxLabels(labelsFile)
  if (labels.length !== images.count) {
    throw new Error(`There are ${images.count} images, but ${labels.length} labels.`)
  }
  return { ...images, channels: 1, labels }
}

/** The answers to all images, in their order. */
async function classify(images: LabelledImages, target: Target): Promise<readonly Answered[]> {
  const { count, height, width, channels } = images
  const fitting = Math.floor(maxBytesPerRequest / (height * width * channels))
  const filesPerRequest = Math.min(fitting, maxFilesPerRequest)
  const answers: Answered[] = []
  let next = 0
  async function connection(): Promise<void> {
    while (next < count) {
      const first = next
      next = Math.min(first + filesPerRequest, count)
      for (const [offset, answer] of (await post(images, first, next, target)).entries()) {
        answers[first + offset] = answer
      }
    }
  }
  await Promise.all(Array.from({ length: connections }, connection))
  return answers
}

/** One request for the images first..end − 1, repeated while the service says that it is full for the moment. */
async function post(images: LabelledImages, first: number, end: number, target: Target): Promise<Answered[]> {
  const form = new FormData()
  for (let image = first; image < end; image++) {
    form.append('file', new Blob([encodeImage(images, image)]), `${image}.png`)
  }
  const url = new URL('/predict', target.url)
  url.search = new URLSearchParams({
    model: target.model,
    members: String(target.members),
    top: '1',
  }).toString()
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(url, { method: 'POST', body: form })
    if (response.status === 503 && attempt < attempts) {
      await response.body?.cancel()
      await new Promise(resolve =>
        setTimeout(resolve, 1000 * Number(response.headers.get('retry-after') ?? 1)),
      )
      continue
    }
    if (!response.ok) throw new Error(`${response.status} from ${url}: ${await response.text()}`)
    const { predictions } = (await response.json()) as Answer
    if (predictions.length !== end - first) throw new Error('The answer has another number of predictions.')
    return predictions.map(({ label, index, error }, offset) => {
      if (label === undefined || index === undefined) {
        throw new Error(`Image ${first + offset} was not answered: ${JSON.stringify(error)}`)
      }
      return { label, index }
    })
  }
}

function encodeImage({ width, height, channels, pixels }: LabelledImages, image: number): Buffer {
  const rowBytes = width * channels
  const rows = Array.from({ length: height }, (_, y) => {
    const first = (image * height + y) * rowBytes
    return pixels.subarray(first, first + rowBytes)
  })
  return encodePng({ width, height, colour: channels === 3 ? pngColour.rgb : pngColour.grey, rows })
}
