import assert from 'node:assert/strict'
import fc from 'fast-check'
import sharp from 'sharp'
import t from 'tap'
import { XnordError } from '../../src/errors.ts'
import { probeImage } from '../../src/images/probe.ts'
import { encodeGreyPng, pngChunk } from './png.ts'

const maxPixels = 1_000_000
const blank = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: '#204060' } })

function codeOf(bytes: Uint8Array, limit = maxPixels): string {
  try {
    probeImage(bytes, limit)
    return 'none'
  } catch (thrown) {
    assert.ok(thrown instanceof XnordError, String(thrown))
    return thrown.code
  }
}

/** A PNG header and nothing behind it. */
function pngHeader(width: number, height: number): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header[8] = 8
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), pngChunk('IHDR', header)])
}

/** The simplest JPEG header: a frame of 7 × 5 pixels behind the given segments. */
function jpegHeader(before: readonly number[], components = 3): Uint8Array {
  return Uint8Array.from([
    0xff,
    0xd8,
    ...before,
    0xff,
    0xc0,
    0,
    17,
    8,
    0,
    5,
    0,
    7,
    components,
    ...Array(9).fill(0),
  ])
}

function webpHeader(chunk: string, data: readonly number[]): Buffer {
  const body = Buffer.concat([
    Buffer.from(`WEBP${chunk}`),
    Buffer.of(data.length, 0, 0, 0),
    Buffer.from(data),
  ])
  return Buffer.concat([Buffer.from('RIFF'), Buffer.of(body.length, 0, 0, 0), body])
}

t.test('a PNG says its size', async t => {
  t.same(probeImage(encodeGreyPng(new Uint8Array(6), 3, 2), maxPixels), {
    format: 'png',
    width: 3,
    height: 2,
    cmyk: false,
  })
})

t.test('a JPEG says its size', async t => {
  const info = { format: 'jpeg', width: 33, height: 21, cmyk: false }
  t.same(probeImage(await blank(33, 21).jpeg().toBuffer(), maxPixels), info)
  t.same(probeImage(await blank(33, 21).jpeg({ progressive: true }).toBuffer(), maxPixels), info)
  t.same(probeImage(await blank(33, 21).withMetadata({ orientation: 6 }).jpeg().toBuffer(), maxPixels), info)
})

t.test('a JPEG of four components is one of inks', async t => {
  t.same(probeImage(jpegHeader([], 4), maxPixels), { format: 'jpeg', width: 7, height: 5, cmyk: true })
})

t.test('a JPEG may have fill bytes before a marker', async t => {
  t.same(probeImage(jpegHeader([0xff, 0xff]), maxPixels), {
    format: 'jpeg',
    width: 7,
    height: 5,
    cmyk: false,
  })
})

t.test('a frame header inside another segment of a JPEG is not the frame header', async t => {
  const thumbnail = [0xff, 0xe1, 0, 12, 0xff, 0xc0, 0, 17, 8, 0x7f, 0xff, 0x7f, 0xff, 3]
  t.same(probeImage(jpegHeader(thumbnail), maxPixels), { format: 'jpeg', width: 7, height: 5, cmyk: false })
})

t.test('a WebP says its size, lossy, lossless or extended', async t => {
  const info = { format: 'webp', width: 33, height: 21, cmyk: false }
  t.same(probeImage(await blank(33, 21).webp().toBuffer(), maxPixels), info)
  t.same(probeImage(await blank(33, 21).webp({ lossless: true }).toBuffer(), maxPixels), info)
  t.same(probeImage(await blank(33, 21).withMetadata({ orientation: 6 }).webp().toBuffer(), maxPixels), info)
})

t.test('a view into a larger buffer is read from its own start', async t => {
  const file = encodeGreyPng(new Uint8Array(6), 3, 2)
  const larger = Buffer.concat([Buffer.alloc(13, 0xff), file])
  t.match(probeImage(larger.subarray(13), maxPixels), { width: 3, height: 2 })
})

t.test('no bytes are IMAGE_EMPTY', async t => {
  t.equal(codeOf(new Uint8Array(0)), 'IMAGE_EMPTY')
})

t.test('one byte, a text and a GIF are IMAGE_FORMAT_UNKNOWN', async t => {
  t.equal(codeOf(Uint8Array.of(0x89)), 'IMAGE_FORMAT_UNKNOWN')
  t.equal(codeOf(Buffer.from('not an image')), 'IMAGE_FORMAT_UNKNOWN')
  t.equal(codeOf(Buffer.from('GIF89a\x01\x00\x01\x00')), 'IMAGE_FORMAT_UNKNOWN')
  t.equal(codeOf(Buffer.from('RIFF\x00\x00\x00\x00WAVEfmt ')), 'IMAGE_FORMAT_UNKNOWN')
})

t.test('a PNG whose header claims 60,000 × 60,000 pixels is IMAGE_TOO_LARGE', async t => {
  t.equal(codeOf(pngHeader(60_000, 60_000)), 'IMAGE_TOO_LARGE')
})

t.test('a PNG of the largest size that a header can claim is IMAGE_TOO_LARGE', async t => {
  t.equal(codeOf(pngHeader(0xffffffff, 0xffffffff)), 'IMAGE_TOO_LARGE')
})

t.test('the limit of pixels is the last size that passes', async t => {
  t.equal(codeOf(pngHeader(20, 5), 100), 'none')
  t.equal(codeOf(pngHeader(101, 1), 100), 'IMAGE_TOO_LARGE')
})

t.test('a side of no pixels is IMAGE_MALFORMED', async t => {
  t.equal(codeOf(pngHeader(0, 5)), 'IMAGE_MALFORMED')
  t.equal(codeOf(pngHeader(5, 0)), 'IMAGE_MALFORMED')
})

t.test('a header cut short is IMAGE_MALFORMED, at every byte behind the signature', async t => {
  const files: readonly (readonly [Buffer, number, number])[] = [
    [pngHeader(3, 2), 8, 33],
    [Buffer.from(jpegHeader([0xff, 0xe0, 0, 4, 1, 2])), 3, 18],
    [await blank(33, 21).webp().toBuffer(), 12, 30],
  ]
  for (const [file, signature, header] of files) {
    for (let length = signature; length < header; length++) {
      t.equal(codeOf(file.subarray(0, length)), 'IMAGE_MALFORMED', `${length} bytes`)
    }
  }
})

t.test('a PNG that begins with another chunk is IMAGE_MALFORMED', async t => {
  const file = Buffer.concat([pngHeader(1, 1).subarray(0, 8), pngChunk('IDAT', Buffer.alloc(13))])
  t.equal(codeOf(file), 'IMAGE_MALFORMED')
})

t.test('a JPEG whose data come before a frame header is IMAGE_MALFORMED', async t => {
  t.equal(codeOf(jpegHeader([0xff, 0xda, 0, 4, 1, 2])), 'IMAGE_MALFORMED')
})

t.test('a JPEG with something else where a marker belongs is IMAGE_MALFORMED', async t => {
  t.equal(codeOf(jpegHeader([0xff, 0xe0, 0, 3, 1, 7, 7])), 'IMAGE_MALFORMED')
})

t.test('a JPEG of endless segments is IMAGE_MALFORMED', async t => {
  const segments = Array.from({ length: 5000 }, () => [0xff, 0xfe, 0, 2]).flat()
  t.equal(codeOf(jpegHeader(segments)), 'IMAGE_MALFORMED')
})

t.test('a WebP of an unknown first chunk, or with a wrong start code, is IMAGE_MALFORMED', async t => {
  t.equal(codeOf(webpHeader('ALPH', Array(12).fill(0))), 'IMAGE_MALFORMED')
  t.equal(codeOf(webpHeader('VP8L', Array(12).fill(0))), 'IMAGE_MALFORMED')
  t.equal(codeOf(webpHeader('VP8 ', Array(12).fill(0))), 'IMAGE_MALFORMED')
})

t.test('any bytes behind a signature give a size within the limit or a coded error', async () => {
  const signatures = ['89504e470d0a1a0a0000000d49484452', 'ffd8ff', '524946460000000057454250565038'].map(
    hex => Buffer.from(hex, 'hex'),
  )
  fc.assert(
    fc.property(fc.constantFrom(...signatures), fc.uint8Array({ maxLength: 64 }), (signature, rest) => {
      const file = Buffer.concat([signature, rest])
      if (codeOf(file) === 'none') {
        const { width, height } = probeImage(file, maxPixels)
        assert.ok(width >= 1 && height >= 1 && width * height <= maxPixels)
      }
    }),
    { numRuns: 2000 },
  )
})
