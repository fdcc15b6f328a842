/** Pen strokes -> the pixels of a grey model, laid out as the digits that such models are trained on. */

/** A position on the drawing surface; the unit does not matter, y grows downwards. */
export interface Point {
  readonly x: number
  readonly y: number
}

/** The path of the pen from touching the surface to leaving it: one point or more. */
export type Stroke = readonly Point[]

export interface Frame {
  readonly height: number
  readonly width: number
}

/** How ink lies in a frame, in pixels: in a square of `box`, drawn `pen` wide, its centre of mass at (x, y). */
interface Layout {
  readonly box: number
  readonly pen: number
  readonly x: number
  readonly y: number
}

/**
 * The drawing in white on black, anti-aliased: scaled as a whole, its proportions kept, and centred. The width of the
 * line is the frame's, not the drawing's, so a small digit is not a bold one.
 *
 * @returns height × width bytes, row after row, 0 (black) to 255; all 0 without strokes
 */
export function rasterize(strokes: readonly Stroke[], frame: Frame): Uint8Array<ArrayBuffer> {
  const bounds = boundsOf(strokes)
  if (bounds === undefined) return new Uint8Array(frame.height * frame.width)
  const layout = layoutOf(frame)
  const radius = layout.pen / 2
  const extent = { x: bounds.right - bounds.left, y: bounds.bottom - bounds.top }
  const longest = Math.max(extent.x, extent.y)
  const scale = longest === 0 ? 0 : (layout.box - 2 * radius) / longest
  const middle = { x: (bounds.left + bounds.right) / 2, y: (bounds.top + bounds.bottom) / 2 }
  const draw = (x: number, y: number) => {
    const place = (p: Point) => ({ x: (p.x - middle.x) * scale + x, y: (p.y - middle.y) * scale + y })
    return render(
      strokes.map(stroke => stroke.map(place)),
      radius,
      frame,
    )
  }
  const centred = draw(frame.width / 2, frame.height / 2)
  const mass = centreOfMass(centred, frame)
  // A lopsided drawing stays whole: the frame's edge stops it before its centre of mass is in place.
  const room = {
    x: (frame.width - extent.x * scale) / 2 - radius,
    y: (frame.height - extent.y * scale) / 2 - radius,
  }
  return draw(
    frame.width / 2 + clamp(layout.x - mass.x, -room.x, room.x),
    frame.height / 2 + clamp(layout.y - mass.y, -room.y, room.y),
  )
}

/**
 * MNIST's digits fit 20 × 20 of its 28 × 28 pixels, their centre of mass in the middle of pixel (14, 14), which is
 * 14.5 (measured: 14.50 ± 0.29). Other sets of small grey images, such as scikit-learn's 8 × 8 digits, leave no margin.
 * The pens are those whose lines measure as wide as the sets' do (2 · area ÷ total variation: 2.4 of 20, 1.5 of 8).
 */
function layoutOf({ height, width }: Frame): Layout {
  if (height === 28 && width === 28) return { box: 20, pen: 2.6, x: 14.5, y: 14.5 }
  const box = Math.min(height, width)
  return { box, pen: 0.16 * box, x: width / 2, y: height / 2 }
}

function boundsOf(strokes: readonly Stroke[]) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity]
  for (const { x, y } of strokes.flat()) {
    left = Math.min(left, x)
    top = Math.min(top, y)
    right = Math.max(right, x)
    bottom = Math.max(bottom, y)
  }
  return left <= right ? { left, top, right, bottom } : undefined
}

/** Strokes in pixels -> coverage: a pixel is the share of its width that lies within `radius` of the line. */
function render(
  strokes: readonly Stroke[],
  radius: number,
  { height, width }: Frame,
): Uint8Array<ArrayBuffer> {
  const pixels = new Uint8Array(height * width)
  for (const stroke of strokes) {
    for (const [i, to] of stroke.entries()) {
      const from = stroke[i - 1] ?? to
      const reach = radius + 0.5
      const lastRow = Math.min(height - 1, Math.floor(Math.max(from.y, to.y) + reach))
      const lastColumn = Math.min(width - 1, Math.floor(Math.max(from.x, to.x) + reach))
      for (let row = Math.max(0, Math.floor(Math.min(from.y, to.y) - reach)); row <= lastRow; row++) {
        for (
          let column = Math.max(0, Math.floor(Math.min(from.x, to.x) - reach));
          column <= lastColumn;
          column++
        ) {
          const distance = distanceToSegment({ x: column + 0.5, y: row + 0.5 }, from, to)
          const value = Math.round(255 * clamp(reach - distance, 0, 1))
          const index = row * width + column
          pixels[index] = Math.max(pixels[index]!, value)
        }
      }
    }
  }
  return pixels
}

function distanceToSegment(p: Point, from: Point, to: Point): number {
  const along = { x: to.x - from.x, y: to.y - from.y }
  const squared = along.x * along.x + along.y * along.y
  const t = squared === 0 ? 0 : clamp(((p.x - from.x) * along.x + (p.y - from.y) * along.y) / squared, 0, 1)
  return Math.hypot(p.x - from.x - t * along.x, p.y - from.y - t * along.y)
}

function centreOfMass(pixels: Uint8Array, { height, width }: Frame): Point {
  let [mass, x, y] = [0, 0, 0]
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const value = pixels[row * width + column]!
      mass += value
      x += value * (column + 0.5)
      y += value * (row + 0.5)
    }
  }
  // A pen thinner than a pixel can pass between the centres of all of them.
  return mass === 0 ? { x: width / 2, y: height / 2 } : { x: x / mass, y: y / mass }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high)
}
