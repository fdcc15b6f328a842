import assert from 'node:assert/strict'
import fc from 'fast-check'
import sharp, { type Sharp } from 'sharp'
import t from 'tap'
import { decodeSmallJpeg } from '../../src/images/small-jpeg.ts'
import { bySharp, bySmall, passesHeader } from './small.ts'

interface Picture {
  readonly width: number
  readonly height: number
  readonly channels: 1 | 3
  readonly pixels: Uint8Array
}

const pictures: fc.Arbitrary<Picture> = fc
  .record({
    width: fc.integer({ min: 1, max: 40 }),
    height: fc.integer({ min: 1, max: 40 }),
    channels: fc.constantFrom(1 as const, 3 as const),
  })
  .chain(size => {
    const length = size.width * size.height * size.channels
    return fc.record({
      width: fc.constant(size.width),
      height: fc.constant(size.height),
      channels: fc.constant(size.channels),
      pixels: fc.uint8Array({ minLength: length, maxLength: length }),
    })
  })

const encodings = fc.record({
  quality: fc.integer({ min: 1, max: 100 }),
  chromaSubsampling: fc.constantFrom('4:4:4', '4:2:0'),
  optimiseCoding: fc.boolean(),
})

function open({ width, height, channels, pixels }: Picture): Sharp {
  const image = sharp(pixels, { raw: { width, height, channels } })
  return channels === 1 ? image.toColourspace('b-w') : image
}

const flat: Picture = { width: 20, height: 10, channels: 3, pixels: new Uint8Array(600).fill(99) }
const whole = await open(flat).jpeg({ optimiseCoding: false }).toBuffer()

/** Files that the decoder does not see while it rests after an error. */
function wake(): void {
  for (let file = 0; file < 1000; file++) if (bySmall(decodeSmallJpeg, whole) !== null) return
  throw new Error('The decoder never wakes.')
}

t.test('any small picture has exactly the pixels that sharp gives', async () => {
  await fc.assert(
    fc.asyncProperty(pictures, encodings, async (picture, encoding) => {
      const file = await open(picture).jpeg(encoding).toBuffer()
      assert.deepEqual(bySmall(decodeSmallJpeg, file) ?? 'none', await bySharp(file))
    }),
    { numRuns: 300 },
  )
})

t.test('chroma at half the columns gives the pixels that sharp gives, and Pillow', async t => {
  // 20 × 8 pixels by Pillow, quality 40, 4:2:2, which sharp does not write
  const file = Buffer.from(
    '/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABQODxIPDRQSEBIXFRQYHjIhHhwcHj0sLiQySUBMS0dARkVQWnNiUFVtVkVGZIhlbXd7gYKBTmCNl4x9lnN+' +
      'gXz/2wBDARUXFx4aHjshITt8U0ZTfHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHz/wAARCAAIABQDASEA' +
      'AhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAABAD/xAAbEAACAgMBAAAAAAAAAAAAAAAAAQURAgMhof/EABYBAQEBAAAAAAAAAAAAAAAAAAQDBf/E' +
      'AB0RAAIBBAMAAAAAAAAAAAAAAAEEAAIREiGhseH/2gAMAwEAAhEDEQA/AD6JNNW8uDtUouV6QCNGAJFyYVZaJUoqVMg1SYvoceHubQW1P//Z',
    'base64',
  )
  const { pixels } = bySmall(decodeSmallJpeg, file)!
  t.same(pixels.slice(0, 8), [11, 239, 40, 255, 15, 243, 36, 255])
  t.same(pixels.slice(-4), [212, 52, 148, 255])
  t.same(pixels, (await bySharp(file))!.pixels)
})

t.test('what a changed file gives, sharp gives, too: never pixels where it refuses them', async t => {
  const files = await Promise.all(
    fc
      .sample(fc.tuple(pictures, encodings), { numRuns: 50, seed: 1 })
      .map(([picture, encoding]) => open(picture).jpeg(encoding).toBuffer()),
  )
  const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 3,
  })
  let decoded = 0
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...files), changes, async (original, changes) => {
      const file = Buffer.from(original)
      for (const [place, value] of changes) file[2 + (place % (file.length - 2))] = value
      wake()
      const small = passesHeader(file) ? bySmall(decodeSmallJpeg, file) : null
      if (small === null) return
      decoded++
      const reference = await bySharp(file)
      // Not the pixels: amplitudes beyond what an encoder can write overflow where sharp uses vector instructions.
      assert.deepEqual([reference?.width, reference?.height], [small.width, small.height])
    }),
    { numRuns: 500 },
  )
  t.ok(decoded > 50, `${decoded} of 500 files were decoded`)
})

/** The file with a segment before all others. */
function withSegment(marker: number, data: readonly number[]): Buffer {
  const segment = Buffer.of(0xff, marker, 0, data.length + 2, ...data)
  return Buffer.concat([whole.subarray(0, 2), segment, whole.subarray(2)])
}

function changed(marker: number, offset: number, value: number): Buffer {
  const file = Buffer.from(whole)
  file[file.indexOf(Buffer.of(0xff, marker)) + offset] = value
  return file
}

const left: Readonly<Record<string, Buffer>> = {
  'more than one scan': await open(flat).jpeg({ progressive: true }).toBuffer(),
  'EXIF, which may turn the picture': await open(flat).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
  'a segment that decoders may read differently': withSegment(0xe5, [1, 2, 3]),
  'four inks': await open(flat).toColourspace('cmyk').jpeg().toBuffer(),
  'uncommon sampling': changed(0xc0, 11, 0x41),
  'a scan of some of its components': changed(0xda, 4, 1),
  'more pixels than are decoded at once': await open({
    width: 257,
    height: 256,
    channels: 1,
    pixels: new Uint8Array(257 * 256),
  })
    .jpeg()
    .toBuffer(),
  'more bytes than its pixels need': Buffer.concat([whole, Buffer.alloc(2 ** 18)]),
  'no table that its frame names': changed(0xc0, 12, 3),
}

for (const [what, file] of Object.entries(left)) {
  t.test(`a file with ${what} is left to sharp`, async t => {
    wake()
    t.equal(bySmall(decodeSmallJpeg, file), null)
    wake()
  })
}

t.test('a file whose scan is the last that it holds is refused, and nothing to this decoder', async t => {
  const scan = whole.indexOf(Buffer.of(0xff, 0xda))
  // The length of the scan's header reads like the end of the image, which it is not.
  const file = Buffer.concat([whole.subarray(0, scan + 2), Buffer.of(0xff, 0xd9)])
  t.notOk(passesHeader(file))
  t.equal(bySmall(decodeSmallJpeg, file), null)
})
