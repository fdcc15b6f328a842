import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { InputSpec } from '../../src/engine/graph.ts'
import { resize } from '../../src/images/resize.ts'

function resized(source: readonly number[], width: number, height: number, input: InputSpec): number[] {
  const out = new Uint8Array(input.height * input.width * input.channels).fill(77)
  resize(Uint8Array.from(source), width, height, input, out)
  return [...out]
}

function spec(width: number, height: number, resize: InputSpec['resize'], channels: 1 | 3 = 1): InputSpec {
  return { width, height, channels, resize }
}

t.test('an image of the model’s size stays as it is', async t => {
  t.same(resized([1, 2, 3, 4, 5, 6], 3, 2, spec(3, 2, 'stretch')), [1, 2, 3, 4, 5, 6])
})

t.test('halving takes the mean of four pixels, rounded half up', async t => {
  t.same(resized([0, 1, 10, 20, 1, 0, 30, 40], 4, 2, spec(2, 1, 'stretch')), [1, 25])
  t.same(resized([0, 0, 0, 1], 2, 2, spec(1, 1, 'stretch')), [0])
})

t.test('a ratio that is not whole weighs a pixel by its share', async t => {
  // outputs cover 1.5 pixels each: (2·0 + 1·90) / 3 and (1·90 + 2·255) / 3
  t.same(resized([0, 90, 255], 3, 1, spec(2, 1, 'stretch')), [30, 200])
})

t.test('enlarging uses the same formula', async t => {
  t.same(resized([0, 90], 2, 1, spec(3, 1, 'stretch')), [0, 45, 90])
})

t.test('channels do not mix', async t => {
  t.same(resized([0, 100, 200, 10, 110, 255], 2, 1, spec(1, 1, 'stretch', 3)), [5, 105, 228])
})

t.test('"contain" keeps the aspect ratio and fills with 0, the odd row below', async t => {
  t.same(
    resized([9, 9, 9, 9, 9, 9, 9, 9], 4, 2, spec(4, 5, 'contain')),
    [0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0],
  )
})

t.test('"contain" fills left and right of a tall image, the odd column to the right', async t => {
  t.same(resized([8, 8], 1, 2, spec(4, 2, 'contain')), [0, 8, 0, 0, 0, 8, 0, 0])
})

t.test('"contain" rounds the shorter side half up and keeps at least one pixel of it', async t => {
  t.same(resized([6, 6, 6, 6], 4, 1, spec(2, 2, 'contain')), [6, 6, 0, 0]) // 2 × 1 ÷ 4 = 0.5, up to 1
  t.same(resized(Array(9).fill(6), 9, 1, spec(2, 2, 'contain')), [6, 6, 0, 0]) // 0.22, but at least 1
})

t.test('"cover" takes the middle, and leaves the odd column on the right', async t => {
  t.same(resized([1, 2, 3, 4], 4, 1, spec(1, 1, 'cover')), [2])
  t.same(resized([1, 2, 3], 3, 1, spec(1, 1, 'cover')), [2])
})

t.test('"cover" takes the middle rows of a tall image', async t => {
  t.same(resized([1, 2, 3, 4, 5], 1, 5, spec(1, 1, 'cover')), [3])
})

t.test('"cover" keeps at least one pixel of the shorter side', async t => {
  t.same(resized([3, 4], 2, 1, spec(1, 9, 'cover')), Array(9).fill(3))
})

t.test('every rule agrees with exact rational arithmetic', async () => {
  const size = fc.integer({ min: 1, max: 12 })
  const cases = fc
    .record({
      width: size,
      height: size,
      outWidth: size,
      outHeight: size,
      channels: fc.constantFrom(1 as const, 3 as const),
      rule: fc.constantFrom('stretch' as const, 'contain' as const, 'cover' as const),
    })
    .chain(shape =>
      fc.record({
        shape: fc.constant(shape),
        source: fc.uint8Array({
          minLength: shape.width * shape.height * shape.channels,
          maxLength: shape.width * shape.height * shape.channels,
        }),
      }),
    )
  fc.assert(
    fc.property(cases, ({ shape, source }) => {
      const input = spec(shape.outWidth, shape.outHeight, shape.rule, shape.channels)
      assert.deepEqual(
        resized([...source], shape.width, shape.height, input),
        reference([...source], shape.width, shape.height, input),
      )
    }),
    { numRuns: 300 },
  )
})

/** The rule in rational arithmetic, pixel by pixel: each output asks every source pixel for their common area. */
function reference(source: readonly number[], width: number, height: number, input: InputSpec): number[] {
  const { channels } = input
  let crop = { left: 0n, top: 0n, width: BigInt(width), height: BigInt(height) }
  let place = { left: 0n, top: 0n, width: BigInt(input.width), height: BigInt(input.height) }
  if (input.resize === 'contain') place = fitted(place, crop)
  if (input.resize === 'cover') crop = fitted(crop, place)
  const out: number[] = []
  for (let y = 0n; y < BigInt(input.height); y++) {
    for (let x = 0n; x < BigInt(input.width); x++) {
      for (let c = 0; c < channels; c++) {
        const row = y - place.top
        const column = x - place.left
        if (row < 0n || row >= place.height || column < 0n || column >= place.width) {
          out.push(0)
          continue
        }
        let sum = 0n
        for (let sy = 0n; sy < crop.height; sy++) {
          for (let sx = 0n; sx < crop.width; sx++) {
            const index = Number((crop.top + sy) * BigInt(width) + crop.left + sx) * channels + c
            const weight =
              common(row, crop.height, sy, place.height) * common(column, crop.width, sx, place.width)
            sum += weight * BigInt(source[index])
          }
        }
        const area = crop.width * crop.height
        out.push(Number((2n * sum + area) / (2n * area)))
      }
    }
  }
  return out
}

/** Overlap of [i·N, (i+1)·N) with [s·n, (s+1)·n). */
function common(i: bigint, sourceLength: bigint, s: bigint, outLength: bigint): bigint {
  const length = (from: bigint, to: bigint) => (to > from ? to - from : 0n)
  const before = length(i * sourceLength, s * outLength)
  const behind = length((s + 1n) * outLength, (i + 1n) * sourceLength)
  return length(before + behind, sourceLength)
}

interface Box {
  left: bigint
  top: bigint
  width: bigint
  height: bigint
}

/** The largest box of the shape's aspect ratio in the middle of the outer one. */
function fitted(outer: Box, shape: Box): Box {
  const atLeastOne = (value: bigint) => (value < 1n ? 1n : value)
  const halfUp = (numerator: bigint, denominator: bigint) =>
    (2n * numerator + denominator) / (2n * denominator)
  const byHeight = atLeastOne(halfUp(outer.height * shape.width, shape.height))
  const fitsByHeight = outer.height * shape.width <= outer.width * shape.height
  const width = fitsByHeight ? byHeight : outer.width
  const height = fitsByHeight ? outer.height : atLeastOne(halfUp(outer.width * shape.height, shape.width))
  return { left: (outer.width - width) / 2n, top: (outer.height - height) / 2n, width, height }
}
