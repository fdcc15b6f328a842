import { deflateSync } from 'node:zlib'
import sharp from 'sharp'
import t from 'tap'
import type { InputSpec } from '../../src/engine/graph.ts'
import { XnordError } from '../../src/errors.ts'
import { decodeImage } from '../../src/images/decode.ts'
import { encodeGreyPng, encodePng, pngChunk, pngColour } from './png.ts'

const maxPixels = 1_000_000

function input(width: number, height: number, channels: 1 | 3): InputSpec {
  return { width, height, channels, resize: 'stretch' }
}

async function decoded(file: Uint8Array, spec: InputSpec, limit = maxPixels): Promise<number[]> {
  const out = new Uint8Array(spec.height * spec.width * spec.channels).fill(77)
  await decodeImage(file, spec, limit, out)
  return [...out]
}

async function codeOf(file: Uint8Array, limit = maxPixels): Promise<string> {
  try {
    await decoded(file, input(4, 4, 3), limit)
    return 'none'
  } catch (thrown) {
    if (thrown instanceof XnordError) return thrown.code
    throw thrown
  }
}

function noise(length: number): Uint8Array {
  let state = 1
  return new Uint8Array(length).map(() => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  })
}

const colours = sharp(noise(24 * 16 * 3), { raw: { width: 24, height: 16, channels: 3 } })

t.test('a grey PNG gives its own bytes', async t => {
  const pixels = Uint8Array.of(0, 1, 127, 128, 254, 255)
  t.same(await decoded(encodeGreyPng(pixels, 3, 2), input(3, 2, 1)), [0, 1, 127, 128, 254, 255])
})

t.test('a grey PNG gives three equal channels where the model has three', async t => {
  t.same(await decoded(encodeGreyPng(Uint8Array.of(7, 200), 2, 1), input(2, 1, 3)), [7, 7, 7, 200, 200, 200])
})

t.test('a coloured PNG gives its own bytes, or their grey', async t => {
  const file = encodePng({
    width: 2,
    height: 1,
    colour: pngColour.rgb,
    rows: [Uint8Array.of(255, 0, 0, 9, 90, 200)],
  })
  t.same(await decoded(file, input(2, 1, 3)), [255, 0, 0, 9, 90, 200])
  t.same(await decoded(file, input(2, 1, 1)), [76, 78])
})

t.test('alpha is laid over black', async t => {
  const rgba = encodePng({
    width: 2,
    height: 1,
    colour: pngColour.rgba,
    rows: [Uint8Array.of(100, 150, 255, 128, 1, 2, 3, 0)],
  })
  t.same(await decoded(rgba, input(2, 1, 3)), [50, 75, 128, 0, 0, 0])
  const greyAlpha = encodePng({
    width: 2,
    height: 1,
    colour: pngColour.greyAlpha,
    rows: [Uint8Array.of(200, 128, 9, 0)],
  })
  t.same(await decoded(greyAlpha, input(2, 1, 1)), [100, 0])
})

t.test('a palette gives its colours, transparent ones over black', async t => {
  const extra = [
    pngChunk('PLTE', Uint8Array.of(10, 20, 30, 200, 100, 50)),
    pngChunk('tRNS', Uint8Array.of(255, 51)),
  ]
  const file = encodePng({
    width: 2,
    height: 1,
    colour: pngColour.palette,
    rows: [Uint8Array.of(0, 1)],
    extra,
  })
  t.same(await decoded(file, input(2, 1, 3)), [10, 20, 30, 40, 20, 10])
})

t.test('1, 2 and 4 bits a sample span black to white', async t => {
  const cases = [
    { depth: 1, row: 0b01000000, expected: [0, 255] },
    { depth: 2, row: 0b01100000, expected: [85, 170] },
    { depth: 4, row: 0x5a, expected: [85, 170] },
  ] as const
  for (const { depth, row, expected } of cases) {
    const file = encodePng({ width: 2, height: 1, depth, colour: pngColour.grey, rows: [Uint8Array.of(row)] })
    t.same(await decoded(file, input(2, 1, 1)), expected, `${depth} bits`)
  }
})

t.test('of 16 bits a sample the upper 8 count', async t => {
  const grey = encodePng({
    width: 2,
    height: 1,
    depth: 16,
    colour: pngColour.grey,
    rows: [Uint8Array.of(0x12, 0xff, 0x80, 0x7f)],
  })
  t.same(await decoded(grey, input(2, 1, 1)), [0x12, 0x80])
  const rgb = encodePng({
    width: 1,
    height: 1,
    depth: 16,
    colour: pngColour.rgb,
    rows: [Uint8Array.of(1, 255, 2, 128, 3, 0)],
  })
  t.same(await decoded(rgb, input(1, 1, 3)), [1, 2, 3])
})

t.test('an interlaced PNG gives its rows in order', async t => {
  // Adam7 on 3 × 3 pixels: pass 1 holds (0,0); 5 holds (0,2) and (2,2); 6 holds (1,0) and (1,2); 7 is row 1
  const adam7 = [[1], [3], [7, 9], [2], [8], [4, 5, 6]]
  const file = encodePng({
    width: 3,
    height: 3,
    colour: pngColour.grey,
    interlaced: true,
    rows: adam7.map(row => Uint8Array.from(row)),
  })
  t.same(await decoded(file, input(3, 3, 1)), [1, 2, 3, 4, 5, 6, 7, 8, 9])
})

t.test('gamma and colour profiles change nothing', async t => {
  const profile = await sharp({ create: { width: 1, height: 1, channels: 3, background: '#000' } })
    .withIccProfile('p3')
    .png()
    .toBuffer()
  const icc = (await sharp(profile).metadata()).icc!
  const extra = [
    pngChunk('gAMA', Uint8Array.of(0, 0, 0x27, 0x10)),
    pngChunk('iCCP', Buffer.concat([Buffer.from('p3\0\0'), deflateSync(icc)])),
  ]
  const file = encodePng({
    width: 1,
    height: 1,
    colour: pngColour.rgb,
    rows: [Uint8Array.of(250, 100, 30)],
    extra,
  })
  t.match(await sharp(file).metadata(), { hasProfile: true })
  t.same(await decoded(file, input(1, 1, 3)), [250, 100, 30])
})

t.test('a flat JPEG gives its colour, baseline or progressive', async t => {
  for (const progressive of [false, true]) {
    const file = await sharp({ create: { width: 16, height: 16, channels: 3, background: '#c8c8c8' } })
      .jpeg({ quality: 100, progressive })
      .toBuffer()
    t.same(await decoded(file, input(2, 1, 3)), Array(6).fill(200))
  }
})

t.test('a CMYK JPEG lets through the light that its inks leave', async t => {
  // no ink at all is white whatever the profile of whoever made the file
  const file = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#ffffff' } })
    .toColourspace('cmyk')
    .jpeg({ quality: 100 })
    .toBuffer()
  t.match(await sharp(file).metadata(), { space: 'cmyk' })
  t.same(await decoded(file, input(1, 1, 3)), [255, 255, 255])
})

t.test('a lossless WebP gives its own bytes, alpha over black', async t => {
  const file = await sharp(Uint8Array.of(100, 150, 255, 255, 100, 150, 255, 128), {
    raw: { width: 2, height: 1, channels: 4 },
  })
    .webp({ lossless: true })
    .toBuffer()
  t.same(await decoded(file, input(2, 1, 3)), [100, 150, 255, 50, 75, 128])
})

t.test('an animation gives its first frame', async t => {
  const frames = Buffer.concat([Buffer.alloc(12, 10), Buffer.alloc(12, 200)])
  const file = await sharp(frames, { raw: { width: 2, height: 4, channels: 3, pageHeight: 2 } })
    .webp({ lossless: true, delay: [10, 10] })
    .toBuffer()
  t.match(await sharp(file).metadata(), { pages: 2 })
  t.same(await decoded(file, input(2, 2, 1)), [10, 10, 10, 10])
})

t.test('an animated PNG gives its default image', async t => {
  const frame = Buffer.alloc(26)
  frame.writeUInt32BE(1, 4)
  frame.writeUInt32BE(1, 8)
  const extra = [pngChunk('acTL', Uint8Array.of(0, 0, 0, 2, 0, 0, 0, 0)), pngChunk('fcTL', frame)]
  const file = encodePng({ width: 1, height: 1, colour: pngColour.grey, rows: [Uint8Array.of(33)], extra })
  t.same(await decoded(file, input(1, 1, 1)), [33])
})

// The picture as stored is 1 2 / 3 4 / 5 6; each entry is how EXIF (CIPA DC-008, tag 274) says that it is to be seen.
const orientations = [
  { orientation: 1, width: 2, height: 3, seen: [1, 2, 3, 4, 5, 6] },
  { orientation: 2, width: 2, height: 3, seen: [2, 1, 4, 3, 6, 5] },
  { orientation: 3, width: 2, height: 3, seen: [6, 5, 4, 3, 2, 1] },
  { orientation: 4, width: 2, height: 3, seen: [5, 6, 3, 4, 1, 2] },
  { orientation: 5, width: 3, height: 2, seen: [1, 3, 5, 2, 4, 6] },
  { orientation: 6, width: 3, height: 2, seen: [5, 3, 1, 6, 4, 2] },
  { orientation: 7, width: 3, height: 2, seen: [6, 4, 2, 5, 3, 1] },
  { orientation: 8, width: 3, height: 2, seen: [2, 4, 6, 1, 3, 5] },
] as const

for (const { orientation, width, height, seen } of orientations) {
  t.test(
    `EXIF orientation ${orientation} is turned upright before resizing, in all three formats`,
    async t => {
      const grey = (side: number) =>
        Buffer.from(
          Array.from({ length: 6 * side * side }, (_, i) => {
            const row = Math.floor(i / (2 * side))
            return 40 * (Math.floor(row / side) * 2 + Math.floor((i % (2 * side)) / side) + 1)
          }),
        )
      const stored = (side: number) =>
        sharp(grey(side), { raw: { width: 2 * side, height: 3 * side, channels: 1 } }).withMetadata({
          orientation,
        })
      const expected = seen.map(value => 40 * value)
      t.same(await decoded(await stored(1).png().toBuffer(), input(width, height, 1)), expected, 'png')
      t.same(
        await decoded(await stored(1).webp({ lossless: true }).toBuffer(), input(width, height, 1)),
        expected,
        'webp',
      )
      t.same(
        await decoded(await stored(8).jpeg({ quality: 100 }).toBuffer(), input(width, height, 1)),
        expected,
        'jpeg',
      )
    },
  )
}

t.test('the pixels are written where the caller says, and nowhere else', async t => {
  const arena = new Uint8Array(new SharedArrayBuffer(8)).fill(9)
  await decodeImage(
    encodeGreyPng(Uint8Array.of(1, 2, 3, 4), 2, 2),
    input(2, 2, 1),
    maxPixels,
    arena.subarray(2, 6),
  )
  t.same([...arena], [9, 9, 1, 2, 3, 4, 9, 9])
})

t.test('a file in shared memory is decoded', async t => {
  const file = encodeGreyPng(Uint8Array.of(1, 2, 3, 4), 2, 2)
  const shared = new Uint8Array(new SharedArrayBuffer(file.length))
  shared.set(file)
  t.same(await decoded(shared, input(2, 2, 1)), [1, 2, 3, 4])
})

t.test('many images at once do not disturb each other', async t => {
  const files = Array.from({ length: 40 }, (_, i) => encodeGreyPng(new Uint8Array(16).fill(i), 4, 4))
  const answers = await Promise.all(files.map(file => decoded(file, input(1, 1, 1))))
  t.same(answers.flat(), [...files.keys()])
})

t.test('an empty file is IMAGE_EMPTY', async t => {
  t.equal(await codeOf(new Uint8Array(0)), 'IMAGE_EMPTY')
})

t.test('what is not an image is IMAGE_FORMAT_UNKNOWN, other formats that libvips could read too', async t => {
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
  const gif = await colours.clone().gif().toBuffer()
  const tiff = await colours.clone().tiff().toBuffer()
  for (const file of [Buffer.from(svg), gif, tiff, Buffer.from('x')]) {
    t.equal(await codeOf(file), 'IMAGE_FORMAT_UNKNOWN')
  }
})

t.test('more pixels than the limit are IMAGE_TOO_LARGE', async t => {
  t.equal(await codeOf(await colours.clone().png().toBuffer(), 24 * 16 - 1), 'IMAGE_TOO_LARGE')
  t.equal(await codeOf(await colours.clone().png().toBuffer(), 24 * 16), 'none')
})

t.test('a file cut short is an error wherever it is cut', async t => {
  const files = {
    png: await colours.clone().png().toBuffer(),
    jpeg: await colours.clone().jpeg().toBuffer(),
    progressive: await colours.clone().jpeg({ progressive: true }).toBuffer(),
    webp: await colours.clone().webp().toBuffer(),
    lossless: await colours.clone().webp({ lossless: true }).toBuffer(),
  }
  for (const [name, file] of Object.entries(files)) {
    t.equal(await codeOf(file), 'none', name)
    const accepted: number[] = []
    // every byte of the end, where decoders no longer look, and every seventh before
    for (let length = 0; length < file.length; length += length < file.length - 40 ? 7 : 1) {
      if ((await codeOf(file.subarray(0, length))) === 'none') accepted.push(length)
    }
    t.same(accepted, [], name)
  }
})

t.test("the end of a JPEG's thumbnail is not the end of the JPEG", async t => {
  const file = await colours.clone().jpeg().toBuffer()
  const thumbnail = Buffer.of(0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9)
  const withThumbnail = Buffer.concat([file.subarray(0, 2), thumbnail, file.subarray(2)])
  t.equal(await codeOf(withThumbnail), 'none')
  t.equal(await codeOf(withThumbnail.subarray(0, -2)), 'IMAGE_MALFORMED')
})

/** One code of one bit, which says "no difference", or "no more in this block" (ITU-T T.81, F.1.2.1 and G.1.2.2). */
const oneCode = [1, ...Array(15).fill(0), 0]

function jpegSegment(marker: number, data: readonly number[]): number[] {
  return [0xff, marker, 0, 2 + data.length, ...data]
}

/** A grey JPEG of 8 × 8 pixels of 128: a scan of the average, then one without coefficients again and again. */
function progressiveJpeg(scans: number, between: readonly number[] = []): Uint8Array {
  const empty = [...between, ...jpegSegment(0xda, [1, 1, 0, 1, 63, 0]), 0x7f]
  return Uint8Array.from([
    ...[0xff, 0xd8],
    ...jpegSegment(0xdb, [0, ...Array(64).fill(1)]),
    ...jpegSegment(0xc2, [8, 0, 8, 0, 8, 1, 1, 0x11, 0]),
    ...jpegSegment(0xc4, [0x00, ...oneCode]),
    ...jpegSegment(0xc4, [0x10, ...oneCode]),
    ...jpegSegment(0xda, [1, 1, 0, 0, 0, 0]),
    ...[
      0x7f,
      ...Array(scans - 1)
        .fill(empty)
        .flat(),
      0xff,
      0xd9,
    ],
  ])
}

t.test('a JPEG of more scans than encoders write is refused before it is decoded', async t => {
  const end = jpegSegment(0xfe, [0xff, 0xd9])
  const more = jpegSegment(0xfe, Array(50).fill([0xff, 0xda]).flat())
  for (const between of [[], [0xff, 0xff], end, more]) {
    t.same(await decoded(progressiveJpeg(100, between), input(1, 1, 1)), [128])
    await t.rejects(decoded(progressiveJpeg(101, between), input(1, 1, 1)), {
      code: 'IMAGE_MALFORMED',
      message: 'The jpeg file has over 100 scans.',
    })
  }
  // A marker of no meaning has no length, behind which scans could hide.
  await t.rejects(decoded(progressiveJpeg(101, [0xff, 0x02, 0x7f, 0xf0]), input(1, 1, 1)), /over 100 scans/)
})

t.test("a JPEG's end is not looked for in a comment, nor behind a segment that is cut short", async t => {
  const file = progressiveJpeg(2, jpegSegment(0xfe, [0xff, 0xd9]))
  for (const length of [file.length - 1, file.length - 2, file.length - 12, file.length - 18]) {
    await t.rejects(decoded(file.subarray(0, length), input(1, 1, 1)), /cut short/)
  }
})

t.test('a PNG with a chunk longer than the file is IMAGE_MALFORMED', async t => {
  const file = encodeGreyPng(new Uint8Array(4), 2, 2)
  file.writeUInt32BE(0xffffffff, 33)
  t.equal(await codeOf(file), 'IMAGE_MALFORMED')
})

t.test(
  'a file with changed bytes gives pixels or a coded error, and the next one is decoded as ever',
  async t => {
    const whole = encodeGreyPng(Uint8Array.of(1, 2, 3, 4), 2, 2)
    const files = [
      await colours.clone().png().toBuffer(),
      await colours.clone().jpeg({ progressive: true }).toBuffer(),
      await colours.clone().withMetadata({ orientation: 6 }).jpeg().toBuffer(),
      await colours.clone().webp().toBuffer(),
      await colours.clone().ensureAlpha(0.5).webp({ lossless: true }).toBuffer(),
    ]
    const random = noise(250 * 9)
    let errors = 0
    for (let round = 0; round < 250; round++) {
      const file = Buffer.from(files[round % files.length])
      for (let change = 0; change < 3; change++) {
        const [high, low, value] = random.subarray(round * 9 + change * 3)
        file[(high * 256 + low) % file.length] = value
      }
      const code = await codeOf(file)
      t.ok(['none', 'IMAGE_FORMAT_UNKNOWN', 'IMAGE_MALFORMED', 'IMAGE_TOO_LARGE'].includes(code), code)
      if (code !== 'none') errors += 1
    }
    t.ok(errors > 50, `${errors} of 250 files were refused`)
    t.same(await decoded(whole, input(2, 2, 1)), [1, 2, 3, 4])
  },
)
