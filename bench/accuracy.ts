/**
 * Posts every image of a labelled IDX file as PNG through `POST /predict` and prints how many are answered rightly.
 *
 *     npm run bench:accuracy -- --images FILE --labels FILE --url http://127.0.0.1:8080 --model mnist \
 *       --members 1,8 --out DIR
 *
 * For each number of members k, DIR/labels-k.txt gets the answered labels, one a line in the order of the images.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { encodeGreyPng } from '../test/images/png.ts'
import { type IdxImages, readIdxImages, readIdxLabels } from './idx.ts'

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

const filesPerRequest = 50
const connections = 4
const attempts = 20

const { values } = parseArgs({
  options: {
    images: { type: 'string' },
    labels: { type: 'string' },
    url: { type: 'string', default: 'http://127.0.0.1:8080' },
    model: { type: 'string' },
    members: { type: 'string', default: '1' },
    out: { type: 'string' },
  },
})
const { images: imagesFile, labels: labelsFile, model, out } = values
if (imagesFile === undefined || labelsFile === undefined || model === undefined || out === undefined) {
  throw new Error('--images, --labels, --model and --out are needed.')
}
const images = await readIdxImages(imagesFile)
const labels = await readIdxLabels(labelsFile)
if (labels.length !== images.count) {
  throw new Error(`There are ${images.count} images, but ${labels.length} labels.`)
}
await mkdir(out, { recursive: true })
for (const members of values.members.split(',').map(Number)) {
  const start = performance.now()
  const answers = await classify(images, { url: values.url, model, members })
  const seconds = (performance.now() - start) / 1000
  const right = answers.filter(({ index }, image) => index === labels[image]).length
  await writeFile(join(out, `labels-${members}.txt`), answers.map(({ label }) => `${label}\n`).join(''))
  const accuracy = ((100 * right) / images.count).toFixed(2)
  console.log(
    `members ${members}: ${accuracy} % (${right} of n = ${images.count}), ${seconds.toFixed(1)} s over HTTP`,
  )
}

/** The answers to all images, in their order. */
async function classify(images: IdxImages, target: Target): Promise<readonly Answered[]> {
  const answers: Answered[] = []
  let next = 0
  async function connection(): Promise<void> {
    while (next < images.count) {
      const first = next
      next = Math.min(first + filesPerRequest, images.count)
      for (const [offset, answer] of (await post(images, first, next, target)).entries()) {
        answers[first + offset] = answer
      }
    }
  }
  await Promise.all(Array.from({ length: connections }, connection))
  return answers
}

/** One request for the images first..end − 1, repeated while the service says that it is full for the moment. */
async function post(images: IdxImages, first: number, end: number, target: Target): Promise<Answered[]> {
  const { width, height, pixels } = images
  const form = new FormData()
  for (let image = first; image < end; image++) {
    const bytes = pixels.subarray(image * width * height, (image + 1) * width * height)
    form.append('file', new Blob([encodeGreyPng(bytes, width, height)]), `${image}.png`)
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
