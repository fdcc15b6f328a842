/** The drawing surface: mouse, finger, pen or keyboard -> strokes; or the picture of a file. */
import type { Point, Stroke } from './digit.ts'

export interface PadEvents {
  /** The user has drawn or wiped. */
  readonly onChange: () => void
  /** The keyboard's pen went down, up, or away; in words for those who do not see it. */
  readonly onPen: (words: string) => void
}

/** The surface is a square of this many units, whatever its size on the screen. */
const side = 280
/** One press of an arrow key: a pixel of MNIST. */
const step = side / 28
const lineWidth = 24

const directions: Readonly<Record<string, Point>> = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
}

export class Pad {
  readonly #surface: HTMLElement
  readonly #canvas: HTMLCanvasElement
  readonly #events: PadEvents
  #strokes: Point[][] = []
  #picture: ImageBitmap | null = null
  #enabled = true
  /** The pointer that draws at the moment; further fingers are ignored. */
  #pointer: number | null = null
  #pen: Point = { x: side / 2, y: side / 2 }
  #penIsDown = false
  readonly #heldArrows = new Set<string>()
  #frameRequested = false

  /**
   * @param surface a square that takes the focus, the pointer and the keys
   * @param canvas what shows the ink; it fills the surface
   */
  constructor(surface: HTMLElement, canvas: HTMLCanvasElement, events: PadEvents) {
    this.#surface = surface
    this.#canvas = canvas
    this.#events = events
    surface.addEventListener('pointerdown', event => this.#startStroke(event))
    surface.addEventListener('pointermove', event => this.#continueStroke(event))
    // Comes after pointerup, pointercancel and everything else that ends a stroke.
    surface.addEventListener('lostpointercapture', event => this.#endStroke(event))
    surface.addEventListener('keydown', event => this.#press(event))
    surface.addEventListener('keyup', event => this.#heldArrows.delete(event.key))
    surface.addEventListener('focus', () => this.#paint())
    surface.addEventListener('blur', () => this.#leave())
    new ResizeObserver(() => this.#paint()).observe(canvas)
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#paint())
  }

  get strokes(): readonly Stroke[] {
    return this.#strokes
  }

  get isEmpty(): boolean {
    return this.#strokes.length === 0 && this.#picture === null
  }

  /** Without it the surface only shows pictures. */
  set enabled(value: boolean) {
    this.#enabled = value
    this.#surface.tabIndex = value ? 0 : -1
    this.#surface.role = value ? 'application' : 'img'
    this.#surface.ariaLabel = value ? 'Drawing area' : 'The chosen image'
    this.#leave()
  }

  clear(): void {
    this.#wipe()
    this.#pen = { x: side / 2, y: side / 2 }
  }

  /** Shows a picture in place of the drawing, as large as fits; it takes the bitmap over. */
  show(picture: ImageBitmap): void {
    this.#wipe()
    this.#picture = picture
    this.#paint()
  }

  #wipe(): void {
    this.#strokes = []
    this.#penIsDown = false
    this.#picture?.close()
    this.#picture = null
    this.#paint()
  }

  #begin(point: Point): void {
    if (this.#picture !== null) this.#wipe()
    this.#strokes.push([point])
    this.#paint()
  }

  #extend(point: Point): void {
    this.#strokes.at(-1)?.push(point)
    this.#paint()
  }

  #startStroke(event: PointerEvent): void {
    if (!this.#enabled || this.#pointer !== null || event.button !== 0) return
    this.#pointer = event.pointerId
    this.#penIsDown = false
    this.#surface.setPointerCapture(event.pointerId)
    this.#begin(this.#locate(event))
  }

  #continueStroke(event: PointerEvent): void {
    if (event.pointerId !== this.#pointer) return
    const moves = event.getCoalescedEvents()
    for (const move of moves.length === 0 ? [event] : moves) {
      const point = this.#locate(move)
      const last = this.#strokes.at(-1)?.at(-1)
      // Less than a unit shows nowhere; without this a resting hand would add points for ever.
      if (last === undefined || Math.hypot(point.x - last.x, point.y - last.y) < 1) continue
      this.#extend(point)
    }
  }

  #endStroke(event: PointerEvent): void {
    if (event.pointerId !== this.#pointer) return
    this.#pointer = null
    this.#events.onChange()
  }

  #press(event: KeyboardEvent): void {
    if (!this.#enabled || event.ctrlKey || event.altKey || event.metaKey) return
    if (event.key in directions) {
      this.#heldArrows.add(event.key)
      this.#movePen()
    } else if (event.key === ' ') {
      if (!event.repeat) this.#togglePen()
    } else if (event.key === 'Escape') {
      this.clear()
      this.#events.onChange()
      this.#events.onPen('Cleared. The pen is up, in the middle.')
    } else {
      return
    }
    event.preventDefault()
  }

  /** By all arrow keys that are held: two make a diagonal. */
  #movePen(): void {
    const held = [...this.#heldArrows].map(key => directions[key]!)
    const move = (from: number, along: number) => Math.min(Math.max(from + along * step, 0), side)
    this.#pen = {
      x: held.reduce((x, direction) => move(x, direction.x), this.#pen.x),
      y: held.reduce((y, direction) => move(y, direction.y), this.#pen.y),
    }
    if (this.#penIsDown) {
      this.#extend(this.#pen)
      this.#events.onChange()
    }
    this.#paint()
  }

  #togglePen(): void {
    const down = !this.#penIsDown
    if (down) {
      this.#begin(this.#pen)
      this.#events.onChange()
    }
    this.#penIsDown = down
    const place = `column ${Math.round(this.#pen.x / step)}, row ${Math.round(this.#pen.y / step)} of 28`
    this.#events.onPen(`Pen ${down ? 'down' : 'up'} at ${place}.`)
    this.#paint()
  }

  #leave(): void {
    this.#heldArrows.clear()
    this.#penIsDown = false
    this.#paint()
  }

  #locate(event: PointerEvent): Point {
    const box = this.#canvas.getBoundingClientRect()
    return {
      x: ((event.clientX - box.left) / box.width) * side,
      y: ((event.clientY - box.top) / box.height) * side,
    }
  }

  #paint(): void {
    if (this.#frameRequested) return
    this.#frameRequested = true
    requestAnimationFrame(() => {
      this.#frameRequested = false
      this.#paintNow()
    })
  }

  #paintNow(): void {
    const canvas = this.#canvas
    const size = Math.round(canvas.clientWidth * devicePixelRatio)
    if (canvas.width !== size) canvas.width = canvas.height = size
    const context = canvas.getContext('2d')
    // Browsers give no context when they are out of memory; the strokes are there, and are sent all the same.
    if (context === null) return
    context.setTransform(1, 0, 0, 1, 0, 0)
    context.clearRect(0, 0, size, size)
    context.scale(size / side, size / side)
    if (this.#picture !== null) paintPicture(context, this.#picture)
    const { color, accentColor } = getComputedStyle(canvas)
    context.strokeStyle = color
    for (const stroke of this.#strokes) paintStroke(context, stroke)
    if (this.#enabled && this.#surface.matches(':focus-visible')) {
      paintPen(context, this.#pen, this.#penIsDown, accentColor)
    }
  }
}

function paintStroke(context: CanvasRenderingContext2D, stroke: Stroke): void {
  context.lineWidth = lineWidth
  context.lineCap = context.lineJoin = 'round'
  context.beginPath()
  for (const { x, y } of stroke) context.lineTo(x, y)
  // A canvas draws no line that has no length, and so no single point.
  if (stroke.length === 1) context.lineTo(stroke[0]!.x + 0.01, stroke[0]!.y)
  context.stroke()
}

/** Small pictures keep their pixels' edges, so that 28 × 28 do not turn into a blur. */
function paintPicture(context: CanvasRenderingContext2D, picture: ImageBitmap): void {
  const scale = side / Math.max(picture.width, picture.height)
  const [width, height] = [picture.width * scale, picture.height * scale]
  context.imageSmoothingEnabled = scale < 2
  context.drawImage(picture, (side - width) / 2, (side - height) / 2, width, height)
}

function paintPen(context: CanvasRenderingContext2D, { x, y }: Point, down: boolean, color: string): void {
  context.strokeStyle = context.fillStyle = color
  context.lineWidth = 2
  context.beginPath()
  context.arc(x, y, lineWidth / 2, 0, 2 * Math.PI)
  if (down) context.fill()
  else context.stroke()
}
