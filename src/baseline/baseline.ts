import type { InferenceSession, Tensor } from 'onnxruntime-node'
import type { Classifier } from '../engine/classifier.ts'
import type { InputSpec } from '../engine/graph.ts'
import { XnordError } from '../errors.ts'

/** What a model says of its baseline's shape. */
export interface BaselineSpec {
  readonly input: InputSpec
  readonly classes: number
}

/** The float32 twin of a model. It has one member, whatever number is asked for. */
export interface Baseline extends Classifier {
  /**
   * @returns float32 [rows, 1, classes], all finite
   * @throws XnordError BASELINE_INVALID where the network gives a number that is not finite
   */
  classify(pixels: Uint8Array, rows: number, members: number): Promise<Float32Array>
  /**
   * Answers what was asked, then frees the session. The thread must not end before: the process would abort. Calls
   * after the first wait for the same end.
   */
  close(): Promise<void>
}

/** Where a file's external data would be looked for: a folder that cannot exist, else it would be the current one. */
const noFolder = '/dev/null/none'

/** Rows that the network computes at once: more gain nothing on one core, and their activations cost memory. */
const sliceRows = 64

/**
 * Opens an ONNX file on one thread of the CPU and lets it answer once. The runtime is loaded with the first baseline,
 * and not before.
 *
 * @param onnx a whole file, without external data: `image` FP32 [N, C, H, W] holding p − 128 gives `logits` FP32
 *   [N, classes], for any N
 * @throws XnordError BASELINE_INVALID
 */
export async function openBaseline(onnx: Uint8Array, spec: BaselineSpec): Promise<Baseline> {
  const runtime = await import('onnxruntime-node')
  let session: InferenceSession
  try {
    // A copy, since the runtime refuses shared memory. What it would log it also throws.
    session = await runtime.InferenceSession.create(onnx.slice(), {
      executionProviders: ['cpu'],
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: 4,
      extra: { session: { model_external_initializers_file_folder_path: noFolder } },
    })
  } catch (thrown) {
    throw failed('loaded', thrown)
  }
  const baseline = new OnnxBaseline(session, runtime.Tensor, spec)
  try {
    requireShapes(session, spec)
    await baseline.classify(extremes(baseline.rowBytes), 2)
  } catch (thrown) {
    await baseline.close()
    throw thrown
  }
  return baseline
}

class OnnxBaseline implements Baseline {
  readonly rowBytes: number
  readonly classes: number
  readonly maxRows = 4096
  readonly #session: InferenceSession
  readonly #tensor: typeof Tensor
  readonly #input: InputSpec
  /** Settles when all that was asked has been answered. */
  #idle: Promise<unknown> = Promise.resolve()
  #closed: Promise<void> | null = null

  constructor(session: InferenceSession, tensor: typeof Tensor, spec: BaselineSpec) {
    this.#session = session
    this.#tensor = tensor
    this.#input = spec.input
    this.rowBytes = spec.input.height * spec.input.width * spec.input.channels
    this.classes = spec.classes
  }

  classify(pixels: Uint8Array, rows: number): Promise<Float32Array> {
    if (this.#closed !== null) return Promise.reject(new Error('The baseline is closed.'))
    const answer = this.#idle.then(() => this.#run(pixels, rows))
    this.#idle = answer.catch(() => undefined) // the error is the caller's; the next one starts afresh
    return answer
  }

  close(): Promise<void> {
    this.#closed ??= this.#idle.then(() => this.#session.release())
    return this.#closed
  }

  async #run(pixels: Uint8Array, rows: number): Promise<Float32Array> {
    const logits = new Float32Array(rows * this.classes)
    for (let first = 0; first < rows; first += sliceRows) {
      const slice = Math.min(sliceRows, rows - first)
      const planes = toPlanes(pixels.subarray(first * this.rowBytes), slice, this.#input)
      logits.set(await this.#runSlice(planes, slice), first * this.classes)
    }
    if (!logits.every(Number.isFinite)) {
      throw new XnordError('BASELINE_INVALID', 'The baseline gives logits that are not finite.')
    }
    return logits
  }

  async #runSlice(planes: Float32Array, rows: number): Promise<Float32Array> {
    const { height, width, channels } = this.#input
    const image = new this.#tensor('float32', planes, [rows, channels, height, width])
    let logits: Tensor
    try {
      logits = (await this.#session.run({ image })).logits
    } catch (thrown) {
      throw failed('run', thrown)
    }
    if (logits.dims.length !== 2 || logits.dims[0] !== rows || logits.dims[1] !== this.classes) {
      throw new XnordError(
        'BASELINE_INVALID',
        `The baseline gives logits of [${logits.dims}] for ${rows} rows and ${this.classes} classes.`,
      )
    }
    return logits.data as Float32Array
  }
}

/** Bytes [rows, height, width, channels] to floats p − 128 [rows, channels, height, width]. */
function toPlanes(pixels: Uint8Array, rows: number, { height, width, channels }: InputSpec): Float32Array {
  const area = height * width
  const planes = new Float32Array(rows * area * channels)
  for (let row = 0; row < rows; row++) {
    const base = row * area * channels
    for (let pixel = 0; pixel < area; pixel++) {
      for (let c = 0; c < channels; c++) {
        planes[base + c * area + pixel] = pixels[base + pixel * channels + c] - 128
      }
    }
  }
  return planes
}

/** Two rows, the darkest and the brightest: they show the batch axis, and overflow if there is any. */
function extremes(rowBytes: number): Uint8Array {
  return new Uint8Array(2 * rowBytes).fill(255, rowBytes)
}

function requireShapes(session: InferenceSession, { input, classes }: BaselineSpec): void {
  const { height, width, channels } = input
  requireValue('input', session.inputMetadata, 'image', [channels, height, width])
  requireValue('output', session.outputMetadata, 'logits', [classes])
}

/** One value of the name, float32, a free first axis, and then the given ones; an axis that is not said is free too. */
function requireValue(
  role: string,
  values: readonly InferenceSession.ValueMetadata[],
  name: string,
  axes: readonly number[],
): void {
  const [value] = values
  if (values.length !== 1 || value.name !== name) {
    const names = values.map(value => value.name).join(', ')
    throw new XnordError('BASELINE_INVALID', `The baseline's only ${role} must be "${name}", not "${names}".`)
  }
  const expected = `The baseline's ${role} "${name}" must be float32 [N, ${axes.join(', ')}]`
  if (!value.isTensor) throw new XnordError('BASELINE_INVALID', `${expected}, but it is not a tensor.`)
  const { type, shape } = value
  const fits =
    type === 'float32' &&
    shape.length === axes.length + 1 &&
    typeof shape[0] === 'string' &&
    axes.every((length, index) => typeof shape[index + 1] === 'string' || shape[index + 1] === length)
  if (!fits) throw new XnordError('BASELINE_INVALID', `${expected}, not ${type} [${shape}].`)
}

function failed(action: string, thrown: unknown): XnordError {
  const [reason] = (thrown as Error).message.split('\n')
  return new XnordError('BASELINE_INVALID', `The baseline cannot be ${action}: ${reason}`, { cause: thrown })
}
