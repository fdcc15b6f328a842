/**
 * Times image decoders against each other, and the parts of `decodeImage` around them, and writes its part of
 * docs/images.md:
 *
 *     npm run bench:decoders -- --rounds 300
 *
 * Contestants of a table take turns; a figure is the median over rounds.
 */
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { InputSpec } from '../src/engine/graph.ts'
import { requireComplete } from '../src/images/complete.ts'
import { decodeImage } from '../src/images/decode.ts'
import { toLight } from '../src/images/pixels.ts'
import { probeImage } from '../src/images/probe.ts'
import { resize } from '../src/images/resize.ts'
import { decodeSmallJpeg } from '../src/images/small-jpeg.ts'
import { decodeSmallPng } from '../src/images/small-png.ts'
import { readCpu } from './cpu.ts'
import { type ImageDecoder, openDecoders, versionOf, viaSharp } from './image-decoders.ts'
import { digits, spread, table, times } from './markdown.ts'
import { writePart } from './page.ts'
import { drawPictures, type Picture } from './pictures.ts'
import { type Contestant, ratios, spreadOf, takeTurns } from './rounds.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '300' },
    out: { type: 'string', default: join(root, 'docs') },
  },
})
const rounds = Number(options.rounds)
if (!(Number.isInteger(rounds) && rounds > 0)) throw new Error('--rounds takes a number of rounds')
/** Wasm is compiled anew while it runs hot, which takes rounds. */
const turns = { rounds, warmUpRounds: Math.ceil(rounds / 5) }
const maxPixels = 2 ** 24
const microseconds = 1000
const columns = ['header', 'end', 'decode', 'light', 'copy', '`decodeImage`']

const decoders = await openDecoders()
const pictures = await drawPictures()
const part = [introduction(), await contest(), await wholeWay()].join('\n\n')
writePart(join(resolve(options.out), 'images.md'), 'decoders', part)
console.log(part)

function introduction(): string {
  const { model, identity } = readCpu()
  const versions = [...new Set(decoders.map(decoder => decoder.package))]
    .map(name => `${name} ${versionOf(name)}`)
    .join(' · ')
  const given = rounds === 300 ? '' : ` -- --rounds ${rounds}`
  return `## Measured

Written by \`npm run bench:decoders${given}\` on ${new Date().toISOString().slice(0, 10)}.

${model}${identity === null ? '' : ` (${identity})`} · Node.js ${process.version} · ${versions}

n = ${rounds} rounds after ${turns.warmUpRounds} to warm up; in a round each contestant has a turn, which begins with a call that is not timed and
lasts at least 50 µs. Figures are medians with quartiles in brackets, ratios medians of the ratios within rounds.`
}

async function contest(): Promise<string> {
  const rows: string[][] = []
  for (const picture of pictures) {
    const reference = await pixelsOf(viaSharp(picture.format), picture)
    const entrants = decoders.filter(({ format }) => format === picture.format)
    const results = await Promise.all(entrants.map(decoder => pixelsOf(decoder, picture)))
    const able = entrants.filter((_, index) => results[index] !== null)
    const measured = await takeTurns(
      able.map(({ name, decode }) => ({ name, run: () => decode(picture.file) })),
      turns,
    )
    for (const [index, decoder] of entrants.entries()) {
      const pixels = results[index]
      const taken = measured[able.indexOf(decoder)]
      rows.push([
        picture.name,
        decoder.name,
        taken === undefined ? '' : spread(spreadOf(taken), microseconds),
        taken === undefined ? '' : times(spreadOf(ratios(measured[0], taken))),
        pixels === null ? 'left to sharp' : pixels.equals(reference!) ? 'yes' : '**no**',
      ])
    }
  }
  return `### Decoders

From a file to pixels, however many channels the decoder gives. "As sharp's" compares the pixels in colour.

${table(['file', 'decoder', 'µs', '× as fast as sharp', "as sharp's"], rows)}`
}

/** Red, green and blue of each pixel, or null where the decoder leaves the picture to another. */
async function pixelsOf(decoder: ImageDecoder, { file, width, height }: Picture): Promise<Buffer | null> {
  const data = await decoder.decode(file)
  if (data === null) return null
  const channels = data.length / (width * height)
  return Buffer.from(
    Uint8Array.from({ length: 3 * width * height }, (_, index) => {
      const pixel = Math.floor(index / 3) * channels
      return data[channels < 3 ? pixel : pixel + (index % 3)]
    }),
  )
}

async function wholeWay(): Promise<string> {
  const rows: string[][] = []
  for (const picture of pictures) {
    const parts = partsOf(picture)
    const measured = await takeTurns(parts, turns)
    const cells = columns.map(column => {
      const taken = measured[parts.findIndex(({ name }) => name === column)]
      return taken === undefined ? '–' : digits(spreadOf(taken).median * microseconds)
    })
    rows.push([picture.name, ...cells])
  }
  return `### The whole way

From a file to a model's input of the same shape, in µs: the header, the look for the file's end, the decoder, grey or
three channels without alpha, and the copy to where the model reads it. A dash is what sharp does, or what comes after it.

${table(['file', ...columns], rows)}`
}

function partsOf({ file, format, width, height, channels }: Picture): readonly Contestant[] {
  const input: InputSpec = { width, height, channels, resize: 'stretch' }
  const info = probeImage(file, maxPixels)
  const light = new Uint8Array(width * height * channels)
  const out = new Uint8Array(light.length)
  const small = { png: decodeSmallPng, jpeg: decodeSmallJpeg, webp: () => null }[format]
  const image = small(file, info)
  const own: readonly Contestant[] =
    image === null
      ? []
      : [
          { name: 'decode', run: () => small(file, info) },
          // Again and again over the same bytes, which then are no longer the picture's.
          { name: 'light', run: () => toLight(image.data.fill(255), image.layout, channels) },
          { name: 'copy', run: () => resize(light, width, height, input, out) },
        ]
  return [
    { name: 'header', run: () => probeImage(file, maxPixels) },
    { name: 'end', run: () => requireComplete(file, format) },
    ...own,
    { name: '`decodeImage`', run: () => decodeImage(file, input, maxPixels, out) },
  ]
}
