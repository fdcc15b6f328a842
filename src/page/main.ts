/** The page: what is drawn or dropped goes to the server, the newest only, and its answer is shown. */
import { ask, listModels, type Model, Problem } from './api.ts'
import { rasterize } from './digit.ts'
import { acceptDrops } from './drop.ts'
import { useKey } from './key.ts'
import { Pad } from './pad.ts'
import { element, showAnswer, showNothing, showProblem, showWaiting } from './view.ts'

/** Milliseconds of rest after a stroke before it is asked about: the strokes of a 4 or a 5 are one question. */
const rest = 150

const surface = element('pad', HTMLElement)
const choice = element('model', HTMLSelectElement)
const keyInput = element('key', HTMLInputElement)
const fileInput = element('file', HTMLInputElement)
const hint = element('hint', HTMLElement)
const retry = element('retry', HTMLButtonElement)
const seen = element('seen', HTMLElement)
const thumbnail = element('thumbnail', HTMLCanvasElement)

let models: readonly Model[] = []
/** null until the server has named its models. */
let model: Model | null = null
/** The file that is asked about; null when it is the drawing. */
let chosen: File | null = null
let question = new AbortController()
let timer: ReturnType<typeof setTimeout> | undefined

const pad = new Pad(surface, element('paper', HTMLCanvasElement), {
  onChange: drawingChanged,
  onPen: words => {
    element('pen', HTMLElement).textContent = words
  },
})

element('clear', HTMLButtonElement).addEventListener('click', () => {
  pad.clear()
  drawingChanged()
})
retry.addEventListener('click', askAgain)
element('key-form', HTMLFormElement).addEventListener('submit', event => {
  event.preventDefault()
  useKey(keyInput.value)
  keyInput.value = ''
  askAgain()
})
choice.addEventListener('change', () => select(models[choice.selectedIndex]!))
fileInput.addEventListener('change', () => {
  filesGiven([...(fileInput.files ?? [])])
  // Emptied, so that choosing the same file again is a change again.
  fileInput.value = ''
})
acceptDrops(surface, filesGiven)
await start()

function askAgain(): void {
  void (model === null ? start() : answer())
}

async function start(): Promise<void> {
  try {
    models = await listModels()
  } catch (error) {
    fail(error)
    return
  }
  if (models.length === 0) {
    fail(new Problem('No model is ready', 'The server is starting, or stopping.', { temporary: true }))
    return
  }
  choice.replaceChildren(...models.map(({ name }) => new Option(name)))
  element('choice', HTMLElement).hidden = models.length < 2
  select(models[0]!)
}

function select(given: Model): void {
  model = given
  const draws = given.input.channels === 1
  const digits = given.labels.every(label => /^\d$/.test(label))
  element('heading', HTMLElement).textContent = draws ? (digits ? 'Draw a digit' : 'Draw') : 'Choose an image'
  element('twin', HTMLElement).hidden = !given.baseline
  element('keys', HTMLElement).hidden = !draws
  pad.enabled = draws
  if (!draws && chosen === null) pad.clear()
  showNothing(given)
  showInput()
  void answer()
}

function drawingChanged(): void {
  chosen = null
  question.abort()
  clearTimeout(timer)
  showInput()
  if (pad.isEmpty && model !== null) showNothing(model)
  else timer = setTimeout(() => void answer(), rest)
}

function filesGiven(files: readonly File[]): void {
  question.abort()
  clearTimeout(timer)
  if (files.length === 1) {
    chosen = files[0]!
    pad.clear()
    showInput()
    void answer()
  } else {
    fail(
      new Problem(
        'One image, please',
        files.length === 0 ? 'That was no file.' : `Those were ${files.length} files.`,
      ),
    )
  }
}

/** Asks about what is there now; an answer still on its way is of no interest any more. */
async function answer(): Promise<void> {
  question.abort()
  question = new AbortController()
  const { signal } = question
  const [asked, file] = [model, chosen]
  if (asked === null || (file === null && pad.isEmpty)) return
  showWaiting()
  try {
    const image = file ?? rasterize(pad.strokes, asked.input)
    showAnswer(asked, await ask(asked, image, signal))
    if (file !== null) await showPicture(file, signal)
  } catch (error) {
    if (!signal.aborted) fail(error)
  }
}

/** Only after the server has answered: it has refused what is no image, or too large a one to decode here. */
async function showPicture(image: File, signal: AbortSignal): Promise<void> {
  // Browsers do not say why they cannot decode a picture. The answer stands without it.
  const picture = await createImageBitmap(image).catch(() => null)
  if (signal.aborted) {
    picture?.close()
  } else if (picture === null) {
    hint.textContent = `${image.name}, which this browser cannot show`
  } else {
    pad.show(picture)
    showInput()
  }
}

/** The hint in an empty drawing area, and the pixels that are sent. */
function showInput(): void {
  const invitation = model?.input.channels === 3 ? 'Drop an image here' : 'Draw here, or drop an image'
  hint.textContent = chosen?.name ?? invitation
  hint.hidden = !pad.isEmpty
  const drawnFor = chosen === null && model?.input.channels === 1 ? model : null
  seen.hidden = drawnFor === null || pad.isEmpty
  if (drawnFor === null) return
  const { height, width } = drawnFor.input
  thumbnail.width = width
  thumbnail.height = height
  const pixels = rasterize(pad.strokes, drawnFor.input)
  const colours = new Uint8ClampedArray(pixels.length * 4)
  for (const [index, value] of pixels.entries()) colours.set([value, value, value, 255], index * 4)
  thumbnail.getContext('2d')?.putImageData(new ImageData(colours, width, height), 0, 0)
}

/** In words where it was to be expected; anything else is a mistake in this page, and belongs in the console too. */
function fail(error: unknown): void {
  if (error instanceof Problem) {
    showProblem(model, error)
  } else {
    showProblem(model, new Problem('This page has made a mistake', String(error)))
    reportError(error)
  }
}
