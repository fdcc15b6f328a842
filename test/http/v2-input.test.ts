import fc from 'fast-check'
import { test } from 'tap'
import { XnordError } from '../../src/errors.ts'
import type { InferInput } from '../../src/http/schemas/v2.ts'
import { readInput } from '../../src/http/v2/input.ts'
import type { ServedModel } from '../../src/serving/types.ts'
import { shapes } from './fake-service.ts'

const limits = { maxFileBytes: 100, maxPixelBytes: 1000 }
const pixels: InferInput = { name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 1], data: [0, 1, 2, 255] }
const files: InferInput = { name: 'image', datatype: 'BYTES', shape: [1], data: ['AQID'] }

function codeOf(tensor: InferInput, model: ServedModel = shapes): string {
  try {
    readInput(tensor, model, limits)
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
}

for (const [name, tensor] of Object.entries(refused)) {
  test(`${name} is TENSOR_INVALID`, t => {
    t.equal(codeOf(tensor), 'TENSOR_INVALID')
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
        const read = readInput({ ...tensor, data }, model, limits)
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
      const [row] = readInput({ ...files, data: [Buffer.from(bytes).toString('base64')] }, shapes, limits)
      t.equal(Buffer.compare(row!.bytes, bytes), 0)
    }),
  )
  t.end()
})

test('whatever JSON the data are, the answer is rows or a coded error', t => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.array(fc.nat(), { maxLength: 8 }), (data, shape) => {
      for (const datatype of ['UINT8', 'BYTES']) {
        t.match(codeOf({ name: 'image', datatype, shape, data }), /^(none|TENSOR_INVALID|BODY_TOO_LARGE)$/)
      }
    }),
  )
  t.end()
})
