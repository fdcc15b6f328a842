import assert from 'node:assert/strict'
import { deflateSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { decodeSmallPng } from '../../src/images/small-png.ts'
import { encodeGreyPng, encodePng, type PngOptions, pngChunk, pngColour } from './png.ts'
import { bySharp, bySmall, passesHeader } from './small.ts'

const whole = encodeGreyPng(Uint8Array.of(1, 2, 3, 4), 2, 2)

/** Files that the decoder does not see while it rests after an error. */
function wake(): void {
  for (let file = 0; file < 1000; file++) if (bySmall(decodeSmallPng, whole) !== null) return
  throw new Error('The decoder never wakes.')
}

const channelsOf: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }

/** Adam7: first column and row, and the steps between them, of each pass. */
const passes = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const

/** Widths in pixels of the rows as they lie in the file. */
function rowWidths(width: number, height: number, interlaced: boolean): readonly number[] {
  if (!interlaced) return Array(height).fill(width)
  return passes.flatMap(([x, y, stepX, stepY]) => {
    const columns = Math.ceil((width - x) / stepX)
    return columns > 0 ? Array<number>(Math.max(0, Math.ceil((height - y) / stepY))).fill(columns) : []
  })
}

const formats = [
  ...[1, 2, 4, 8, 16].map(depth => ({ colour: pngColour.grey, depth })),
  ...[1, 2, 4, 8].map(depth => ({ colour: pngColour.palette, depth })),
  ...[pngColour.rgb, pngColour.greyAlpha, pngColour.rgba].flatMap(colour =>
    [8, 16].map(depth => ({ colour, depth })),
  ),
]

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })

/** Any picture in any of the formats, rows filtered in any way. */
const pictures: fc.Arbitrary<PngOptions> = fc
  .record({
    format: fc.constantFrom(...formats),
    width: fc.integer({ min: 1, max: 12 }),
    height: fc.integer({ min: 1, max: 12 }),
    interlaced: fc.boolean(),
    colours: fc.integer({ min: 1, max: 256 }),
    transparent: fc.integer({ min: 0, max: 256 }),
  })
  .chain(({ format: { colour, depth }, width, height, interlaced, colours, transparent }) => {
    const widths = rowWidths(width, height, interlaced)
    const entries = Math.min(colours, 2 ** depth)
    return fc
      .record({
        rows: fc.tuple(
          ...widths.map(columns => bytes(Math.ceil((columns * channelsOf[colour] * depth) / 8))),
        ),
        filters: fc.array(fc.integer({ min: 0, max: 4 }), {
          minLength: widths.length,
          maxLength: widths.length,
        }),
        palette: bytes(3 * entries),
        alpha: bytes(Math.min(transparent, entries)),
        resolution: bytes(9),
      })
      .map(({ rows, filters, palette, alpha, resolution }) => {
        const extra = [pngChunk('gAMA', Uint8Array.of(0, 0, 0x27, 0x10)), pngChunk('pHYs', resolution)]
        if (colour === pngColour.palette) {
          extra.push(pngChunk('PLTE', palette))
          if (alpha.length > 0) extra.push(pngChunk('tRNS', alpha))
        }
        return {
          width,
          height,
          colour,
          depth: depth as PngOptions['depth'],
          interlaced,
          rows,
          filters,
          extra,
        }
      })
  })

t.test('any small picture has exactly the pixels that sharp gives', async () => {
  await fc.assert(
    fc.asyncProperty(pictures, async picture => {
      const file = encodePng(picture)
      assert.deepEqual(bySmall(decodeSmallPng, file) ?? 'none', await bySharp(file))
    }),
    { numRuns: 500 },
  )
})

t.test('a file with changed bytes gives what sharp gives, or is left to it', async t => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 3,
  })
  let decoded = 0
  await fc.assert(
    fc.asyncProperty(pictures, changes, fc.boolean(), async (picture, changes, sealed) => {
      const file = Buffer.from(encodePng(picture))
      for (const [place, value] of changes) file[8 + (place % (file.length - 8))] = value
      // Half of them with checksums that fit, so that the change is found by what it does
      const changed = sealed ? reseal(file) : file
      wake()
      const small = passesHeader(changed) ? bySmall(decodeSmallPng, changed) : null
      if (small === null) return
      decoded++
      assert.deepEqual(small, await bySharp(changed))
    }),
    { numRuns: 2000 },
  )
  t.ok(decoded > 50, `${decoded} of 2000 files were decoded`)
})

t.test('pixels that inflate to more than there should be are not decoded', async t => {
  const bomb = (inflated: number) => {
    const file = encodeGreyPng(new Uint8Array(784), 28, 28)
    return Buffer.concat([
      file.subarray(0, 33),
      pngChunk('IDAT', deflateSync(Buffer.alloc(inflated))),
      pngChunk('IEND', Buffer.alloc(0)),
    ])
  }
  wake()
  t.equal(bySmall(decodeSmallPng, bomb(500_000)), null)
  wake()
  t.equal(bySmall(decodeSmallPng, bomb(50_000_000)), null)
  wake()
})

const row = Uint8Array.of(7)
const grey = { width: 1, height: 1, colour: pngColour.grey, rows: [row] } as const
const colours = pngChunk('PLTE', Uint8Array.of(1, 2, 3, 4, 5, 6))
const indexed = { width: 1, height: 1, colour: pngColour.palette, rows: [Uint8Array.of(1)] } as const

const left: Readonly<Record<string, Buffer>> = {
  'a colour that stands for transparency': encodePng({
    ...grey,
    extra: [pngChunk('tRNS', Uint8Array.of(0, 7))],
  }),
  'EXIF, which may turn the picture': encodePng({ ...grey, extra: [pngChunk('eXIf', Buffer.alloc(14))] }),
  'a colour profile, which would have to be inflated': encodePng({
    ...grey,
    extra: [pngChunk('iCCP', Buffer.concat([Buffer.from('p\0\0'), deflateSync(Buffer.alloc(9))]))],
  }),
  'no palette where there has to be one': encodePng(indexed),
  'two palettes': encodePng({ ...indexed, extra: [colours, colours] }),
  'a palette with a part of a colour': encodePng({
    ...indexed,
    extra: [pngChunk('PLTE', Uint8Array.of(1, 2, 3, 4))],
  }),
  'more transparencies than colours': encodePng({
    ...indexed,
    extra: [colours, pngChunk('tRNS', Uint8Array.of(1, 2, 3))],
  }),
  'gamma behind the palette': encodePng({
    ...indexed,
    extra: [colours, pngChunk('gAMA', Uint8Array.of(0, 0, 0x27, 0x10))],
  }),
  'no end': whole.subarray(0, -12),
  'a checksum that does not fit': Buffer.from(whole.with(-20, whole.at(-20)! ^ 1)),
  'more pixels than are decoded at once': encodeGreyPng(new Uint8Array(129 * 129), 129, 129),
  'an unknown kind of colour': encodePng({ ...grey, colour: 1 }),
}

for (const [what, file] of Object.entries(left)) {
  t.test(`a file with ${what} is left to sharp`, async t => {
    wake()
    t.equal(bySmall(decodeSmallPng, file), null)
    wake()
  })
}

/** The file with the checksum of each chunk computed anew, up to where the chunks make sense. */
function reseal(file: Buffer): Buffer {
  const parts = [file.subarray(0, 8)]
  let offset = 8
  while (offset + 12 <= file.length && offset + 12 + file.readUInt32BE(offset) <= file.length) {
    const next = offset + 12 + file.readUInt32BE(offset)
    parts.push(pngChunk(file.toString('latin1', offset + 4, offset + 8), file.subarray(offset + 8, next - 4)))
    offset = next
  }
  return Buffer.concat([...parts, file.subarray(offset)])
}
