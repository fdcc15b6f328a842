import fc from 'fast-check'
import { test } from 'tap'
import { rasterize, type Stroke } from '../../src/page/digit.ts'

const mnist = { height: 28, width: 28 }

/** Rows of a frame that hold ink, first and last; columns likewise. */
function extent(pixels: Uint8Array, width = 28) {
  const inked = [...pixels.keys()].filter(index => pixels[index]! > 0)
  const rows = inked.map(index => Math.floor(index / width))
  const columns = inked.map(index => index % width)
  return {
    rows: [Math.min(...rows), Math.max(...rows)],
    columns: [Math.min(...columns), Math.max(...columns)],
  }
}

function centreOfMass(pixels: Uint8Array) {
  let [mass, x, y] = [0, 0, 0]
  pixels.forEach((value, index) => {
    mass += value
    x += value * ((index % 28) + 0.5)
    y += value * (Math.floor(index / 28) + 0.5)
  })
  return { x: x / mass, y: y / mass }
}

/** In tenths of a unit: pointers are no finer. */
const coordinate = fc.integer({ min: 0, max: 2800 }).map(tenths => tenths / 10)
const strokes = fc.array(
  fc.array(fc.record({ x: coordinate, y: coordinate }), { minLength: 1, maxLength: 12 }),
  {
    minLength: 1,
    maxLength: 4,
  },
)

function moved(drawing: readonly Stroke[], scale: number, x: number, y: number): readonly Stroke[] {
  return drawing.map(stroke => stroke.map(point => ({ x: point.x * scale + x, y: point.y * scale + y })))
}

test('no strokes leave the frame black', t => {
  t.same(rasterize([], { height: 2, width: 3 }), [0, 0, 0, 0, 0, 0])
  t.end()
})

test('a single point becomes a dot of the width of the pen, in the middle of pixel (14, 14)', t => {
  const pixels = rasterize([[{ x: 33, y: 250 }]], mnist)
  t.same(extent(pixels), { rows: [13, 15], columns: [13, 15] })
  // The pen's radius is 1.3: coverage is 1.8 less the distance, which is 1 beside and √2 across the corner.
  t.same(pixels.subarray(13 * 28 + 13, 13 * 28 + 16), [98, 204, 98])
  t.same(pixels.subarray(14 * 28 + 13, 14 * 28 + 16), [204, 255, 204])
  t.same(pixels.subarray(15 * 28 + 13, 15 * 28 + 16), [98, 204, 98])
  t.end()
})

test('a tall drawing is 20 pixels high, a wide one 20 pixels wide, and both keep their proportions', t => {
  const tall = rasterize(
    [
      [
        { x: 100, y: 20 },
        { x: 100, y: 260 },
      ],
    ],
    mnist,
  )
  t.same(extent(tall), { rows: [4, 24], columns: [13, 15] })
  const wide = rasterize(
    [
      [
        { x: 10, y: 5 },
        { x: 70, y: 5 },
      ],
    ],
    mnist,
  )
  t.same(extent(wide), { rows: [13, 15], columns: [4, 24] })
  t.end()
})

test('ink is white in the middle of the line, and grey only along its edges', t => {
  const line = rasterize(
    [
      [
        { x: 0, y: 0 },
        { x: 0, y: 100 },
      ],
    ],
    mnist,
  )
  const row = line.subarray(14 * 28, 15 * 28)
  t.same(row.subarray(12, 17), [0, 204, 255, 204, 0])
  t.end()
})

test('a frame that is not MNIST’s is filled to its edges', t => {
  const pixels = rasterize(
    [
      [
        { x: 0, y: 0 },
        { x: 0, y: 100 },
      ],
    ],
    { height: 8, width: 8 },
  )
  t.same(extent(pixels, 8).rows, [0, 7])
  t.end()
})

test('a lopsided drawing stays whole where centring its mass would push it out of the frame', t => {
  const scribble = Array.from({ length: 40 }, (_, i) => ({ x: i % 2 === 0 ? 0 : 100, y: i * 2 }))
  const pixels = rasterize([[...scribble, { x: 50, y: 80 }, { x: 50, y: 280 }]], mnist)
  const { rows } = extent(pixels)
  t.equal(rows[1], 27)
  t.equal(pixels[27 * 28 + 14]! > 0, true)
  t.equal(pixels.subarray(26 * 28, 27 * 28).includes(255), true, 'the tip of the line is there')
  t.end()
})

test('where on the surface a drawing lies and how large it is makes no difference', t => {
  fc.assert(
    fc.property(
      strokes,
      fc.double({ min: 0.1, max: 10, noNaN: true }),
      coordinate,
      (drawing, scale, shift) => {
        const original = rasterize(drawing, mnist)
        const other = rasterize(moved(drawing, scale, shift, -shift), mnist)
        // Distances differ in their last bits, and a byte by one where it is about to round.
        return original.every((value, index) => Math.abs(value - other[index]!) <= 1)
      },
    ),
  )
  t.end()
})

test('the ink fits 20 × 20 pixels, up to the grey of its edges', t => {
  fc.assert(
    fc.property(strokes, drawing => {
      const { rows, columns } = extent(rasterize(drawing, mnist))
      return rows[1]! - rows[0]! <= 21 && columns[1]! - columns[0]! <= 21
    }),
  )
  t.end()
})

test('the centre of mass comes to (14.5, 14.5), unless the edge of the frame stops it', t => {
  fc.assert(
    fc.property(strokes, drawing => {
      const pixels = rasterize(drawing, mnist)
      const { rows, columns } = extent(pixels)
      const mass = centreOfMass(pixels)
      const stopped = ([first, last]: readonly number[]) => first! <= 1 || last! >= 26
      return (
        (Math.abs(mass.x - 14.5) < 0.3 || stopped(columns)) &&
        (Math.abs(mass.y - 14.5) < 0.3 || stopped(rows))
      )
    }),
  )
  t.end()
})

test('every frame from one pixel on takes any drawing', t => {
  const size = fc.integer({ min: 1, max: 40 })
  fc.assert(
    fc.property(strokes, size, size, (drawing, height, width) => {
      return rasterize(drawing, { height, width }).length === height * width
    }),
  )
  t.end()
})
