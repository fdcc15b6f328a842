import fc from 'fast-check'
import { test } from 'tap'
import { XnordError } from '../../src/errors.ts'
import type { InferInput } from '../../src/http/schemas/v2.ts'
import { readInput } from '../../src/http/v2/input.ts'
import type { ServedModel } from '../../src/serving/types.ts'
import { shapes } from './fake-service.ts'

const limits = { maxRows: 8, maxFileBytes: 100, maxPixelBytes: 1000, take: () => {} }
const none = new Uint8Array()
const pixels: InferInput = { name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 1], data: [0, 1, 2, 255] }
const files: InferInput = { name: 'image', datatype: 'BYTES', shape: [1], data: ['AQID'] }

function codeOf(tensor: InferInput, binary: Uint8Array = none, model: ServedModel = shapes): string {
  try {
    readInput(tensor, binary, model, limits)
    return 'none'
  } catch (error) {
    return error instanceof XnordError ? error.code : String(error)
  }
}

const refused: Readonly<Record<string, InferInput>> = {
  'another datatype': { ...pixels, datatype: 'FP32' },
  'no rows': { ...pixels, shape: [0, 2, 2, 1], data: [] },
  'a shape of too few axes': { ...pixels, shape: [4] },
  'a shape without axes': { ...pixels, shape: [] },
  'a shape of too many axes': { ...pixels, shape: [1, 1, 2, 2, 1] },
  'another height': { ...pixels, shape: [1, 4, 1, 1] },
  'more channels': { ...pixels, shape: [1, 2, 2, 3] },
  'too few values': { ...pixels, data: [0, 1, 2] },
  'too many values': { ...pixels, data: [0, 1, 2, 3, 4] },
  'rows that no body could hold': { ...pixels, shape: [2 ** 40, 2, 2, 1] },
  'a negative value': { ...pixels, data: [0, 1, 2, -1] },
  'a value over 255': { ...pixels, data: [0, 1, 2, 256] },
  'a fraction': { ...pixels, data: [0, 1, 2, 0.5] },
  'a string among the values': { ...pixels, data: [0, 1, 2, '3'] },
  'null among the values': { ...pixels, data: [0, 1, 2, null] },
  'nesting that is too shallow': { ...pixels, data: [[0, 1, 2, 3]] },
  'nesting that is too deep': {
    ...pixels,
    data: [
      [
        [[[0]], [[1]]],
        [[[2]], [[3]]],
      ],
    ],
  },
  'nesting that is uneven': { ...pixels, data: [[[[0], [1]], [[2]]]] },
  'nesting that stops': { ...pixels, data: [[[[0], [1]], 2]] },
  'files in another shape': { ...files, shape: [2] },
  'no files': { ...files, shape: [0], data: [] },
  'a file that is a number': { ...files, data: [1] },
  'base64 of the wrong length': { ...files, data: ['AQI'] },
  'base64 with a foreign letter': { ...files, data: ['AQ*D'] },
  'base64 with a line break': { ...files, data: ['AQI\n'] },
  'neither data nor binary data': { ...pixels, data: undefined },
  'data and binary data at once': { ...pixels, parameters: { binary_data_size: 0 } },
  'bits in JSON': { ...pixels, parameters: { bit_packed: true } },
  'files as bits': { ...files, parameters: { bit_packed: true } },
}

for (const [name, tensor] of Object.entries(refused)) {
  test(`${name} is TENSOR_INVALID`, t => {
    t.equal(codeOf(tensor), 'TENSOR_INVALID')
    t.end()
  })
}

/** Tensors whose data follow the JSON. */
const size = (bytes: number) => ({ parameters: { binary_data_size: bytes } })
const binaryPixels = { name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 1], ...size(4) }
const binaryFiles = { name: 'image', datatype: 'BYTES', shape: [2], ...size(11) }
const packed = (bytes: number) => ({ parameters: { binary_data_size: bytes, bit_packed: true } })

const refusedBinary: Readonly<Record<string, readonly [InferInput, readonly number[]]>> = {
  'binary data that no size claims': [pixels, [1, 2, 3, 4]],
  'a size of more than there is': [binaryPixels, [1, 2, 3]],
  'a size of less than there is': [binaryPixels, [1, 2, 3, 4, 5]],
  'pixels that do not fill the shape': [{ ...binaryPixels, ...size(3) }, [1, 2, 3]],
  'more pixels than the shape': [{ ...binaryPixels, ...size(5) }, [1, 2, 3, 4, 5]],
  'bits that do not fill the shape': [{ ...binaryPixels, shape: [2, 2, 2, 1], ...packed(1) }, [255]],
  'more bits than the shape': [{ ...binaryPixels, ...packed(2) }, [255, 255]],
  'a length without its element': [{ ...binaryFiles, shape: [1], ...size(4) }, [1, 0, 0, 0]],
  'a length cut short': [{ ...binaryFiles, shape: [1], ...size(3) }, [0, 0, 0]],
  'an element longer than the data': [{ ...binaryFiles, shape: [1], ...size(5) }, [255, 255, 255, 255, 7]],
  'more elements than the shape': [
    { ...binaryFiles, shape: [1], ...size(10) },
    [1, 0, 0, 0, 7, 1, 0, 0, 0, 8],
  ],
  'no elements': [{ ...binaryFiles, shape: [0], ...size(0) }, []],
  'shared memory': [{ ...binaryPixels, parameters: { shared_memory_region: 'x' } as object }, []],
}

for (const [name, [tensor, bytes]] of Object.entries(refusedBinary)) {
  test(`${name} is TENSOR_INVALID`, t => {
    t.equal(codeOf(tensor, Uint8Array.from(bytes)), 'TENSOR_INVALID')
    t.end()
  })
}

test('binary pixels are views of the body, row after row', t => {
  const body = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
  const rows = readInput({ ...binaryPixels, shape: [2, 2, 2, 1], ...size(8) }, body, shapes, limits)
  t.same(rows, [
    { kind: 'pixels', bytes: Uint8Array.of(1, 2, 3, 4) },
    { kind: 'pixels', bytes: Uint8Array.of(5, 6, 7, 8) },
  ])
  t.equal(rows[1]!.bytes.buffer, body.buffer)
  t.end()
})

test('binary files each follow their length, and are views of the body', t => {
  const body = Uint8Array.of(2, 0, 0, 0, 65, 66, 1, 0, 0, 0, 67)
  const rows = readInput(binaryFiles, body, shapes, limits)
  t.same(rows, [
    { kind: 'file', bytes: Uint8Array.of(65, 66) },
    { kind: 'file', bytes: Uint8Array.of(67) },
  ])
  t.equal(rows[1]!.bytes.buffer, body.buffer)
  t.end()
})

test('packed bits are spread from the lowest of each byte on, and each row begins at a byte', t => {
  const rows = readInput(
    { ...binaryPixels, shape: [2, 2, 2, 1], ...packed(2) },
    Uint8Array.of(0b11110010, 0b00001001),
    shapes,
    limits,
  )
  t.same(rows, [
    { kind: 'pixels', bytes: Uint8Array.of(0, 255, 0, 0) },
    { kind: 'pixels', bytes: Uint8Array.of(255, 0, 0, 255) },
  ])
  t.end()
})

test('the bytes that bits are spread to are counted before they are allocated', t => {
  const tensor = { ...binaryPixels, shape: [3, 2, 2, 1], ...packed(3) }
  const taken: number[] = []
  readInput(tensor, Uint8Array.of(1, 2, 3), shapes, { ...limits, take: bytes => taken.push(bytes) })
  t.same(taken, [12])
  const full = () => {
    throw new XnordError('UPLOADS_FULL', 'Full.')
  }
  t.throws(() => readInput(tensor, Uint8Array.of(1, 2, 3), shapes, { ...limits, take: full }), {
    code: 'UPLOADS_FULL',
  })
  t.end()
})

const tooMany: Readonly<Record<string, readonly [InferInput, Uint8Array]>> = {
  'pixels in JSON': [{ ...pixels, shape: [9, 2, 2, 1], data: Array(36).fill(0) }, none],
  'binary pixels': [{ ...binaryPixels, shape: [9, 2, 2, 1], ...size(36) }, new Uint8Array(36)],
  bits: [{ ...binaryPixels, shape: [9, 2, 2, 1], ...packed(9) }, new Uint8Array(9)],
  'empty files in JSON': [{ ...files, shape: [9], data: Array(9).fill('') }, none],
  'empty binary files': [{ ...binaryFiles, shape: [9], ...size(36) }, new Uint8Array(36)],
}

for (const [name, [tensor, bytes]] of Object.entries(tooMany)) {
  test(`more ${name} than a queue takes are refused`, t => {
    t.equal(codeOf(tensor, bytes), 'REQUEST_TOO_LARGE_FOR_QUEUE')
    t.end()
  })
}

test('a file over the limit is BODY_TOO_LARGE', t => {
  t.equal(codeOf({ ...files, data: [Buffer.alloc(101).toString('base64')] }), 'BODY_TOO_LARGE')
  t.equal(codeOf({ ...files, data: [Buffer.alloc(100).toString('base64')] }), 'none')
  t.end()
})

const image = fc
  .record({
    rows: fc.integer({ min: 1, max: 4 }),
    height: fc.integer({ min: 1, max: 4 }),
    width: fc.integer({ min: 1, max: 4 }),
  })
  .chain(({ rows, height, width }) =>
    fc.record({
      rows: fc.constant(rows),
      height: fc.constant(height),
      width: fc.constant(width),
      values: fc.uint8Array({ minLength: rows * height * width * 3, maxLength: rows * height * width * 3 }),
    }),
  )

/** Splits a list into lists of one length. */
const grouped = <T>(list: readonly T[], length: number): T[][] =>
  Array.from({ length: list.length / length }, (_, index) => list.slice(index * length, (index + 1) * length))

test('flat and nested data of any shape give the same pixels, row after row', t => {
  fc.assert(
    fc.property(image, ({ rows, height, width, values }) => {
      const model: ServedModel = { ...shapes, input: { height, width, channels: 3, resize: 'stretch' } }
      const flat = [...values]
      const nested = grouped(grouped(grouped(flat, 3), width), height)
      const tensor = { name: 'image', datatype: 'UINT8', shape: [rows, height, width, 3] }
      for (const data of [flat, nested]) {
        const read = readInput({ ...tensor, data }, none, model, limits)
        t.equal(read.length, rows)
        t.equal(Buffer.compare(Buffer.concat(read.map(row => row.bytes)), values), 0)
      }
    }),
  )
  t.end()
})

test('any base64 is decoded to the bytes that it was made of', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), bytes => {
      const data = [Buffer.from(bytes).toString('base64')]
      const [row] = readInput({ ...files, data }, none, shapes, limits)
      t.equal(Buffer.compare(row!.bytes, bytes), 0)
    }),
  )
  t.end()
})

test('whatever JSON the data are, the answer is rows or a coded error', t => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.array(fc.nat(), { maxLength: 8 }), (data, shape) => {
      for (const datatype of ['UINT8', 'BYTES']) {
        t.match(
          codeOf({ name: 'image', datatype, shape, data }),
          /^(none|TENSOR_INVALID|BODY_TOO_LARGE|REQUEST_TOO_LARGE_FOR_QUEUE)$/,
        )
      }
    }),
  )
  t.end()
})

test('whatever bytes follow the JSON, the answer is rows or a coded error', t => {
  const shape = fc.oneof(
    fc.array(fc.nat(), { maxLength: 8 }),
    fc.nat(4).map(rows => [rows]),
    fc.nat(4).map(rows => [rows, 2, 2, 1]),
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), shape, fc.boolean(), (binary, shape, bit_packed) => {
      const parameters = { binary_data_size: binary.length, bit_packed }
      for (const datatype of ['UINT8', 'BYTES']) {
        t.match(
          codeOf({ name: 'image', datatype, shape, parameters }, binary),
          /^(none|TENSOR_INVALID|BODY_TOO_LARGE|REQUEST_TOO_LARGE_FOR_QUEUE)$/,
        )
      }
    }),
  )
  t.end()
})
