import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Piscina } from 'piscina'
import { XnordError } from '../errors.ts'
import { abandon, createBarrier } from './barrier.ts'
import type {
  DecodedReply,
  DecodeMessage,
  EveryWorker,
  Failed,
  ModelSpec,
  RowsReply,
  RunMessage,
  UnknownModelReply,
  WorkerData,
  WorkerTasks,
} from './messages.ts'
import type { Log } from './types.ts'

export interface WorkerPoolOptions extends WorkerData {
  readonly workers: number
  readonly log: Log
  /** The module that each worker runs, another one in tests. */
  readonly entry?: URL
  /** Called when the last worker has died and none can start: no task will ever be done again. */
  readonly onDead?: ((cause: unknown) => void) | undefined
}

/** The source where the source runs, else what was built of it. */
const workerEntry = new URL(`./worker${extname(import.meta.url)}`, import.meta.url)

/** Longer than any task takes: to end a worker in the middle of an ONNX call aborts the whole process. */
const never = 2 ** 31 - 1

interface RunningTask {
  readonly start: number
  readonly lose: (cause: unknown) => void
}

/** The threads that compute. One task a thread: the caller hands over no more tasks than there are workers. */
export class WorkerPool {
  readonly workers: number
  readonly #piscina: Piscina
  readonly #log: Log
  readonly #running = new Set<RunningTask>()
  #finishedSeconds = 0
  #dead = false

  constructor({ workers, backend, maxPixels, log, entry = workerEntry, onDead }: WorkerPoolOptions) {
    this.workers = workers
    this.#log = log
    const workerData: WorkerData = { backend, maxPixels }
    this.#piscina = new Piscina({
      filename: fileURLToPath(entry),
      name: 'run' satisfies keyof WorkerTasks,
      minThreads: workers,
      maxThreads: workers,
      idleTimeout: Number.POSITIVE_INFINITY,
      concurrentTasksPerWorker: 1,
      closeTimeout: never,
      recordTiming: false,
      workerData,
    })
    // A worker died between two tasks, or could not start. Only where none is left is there nobody to go on.
    this.#piscina.on('error', (cause: unknown) => {
      this.#log.error({ err: cause }, 'a worker died')
      if (this.#piscina.threads.length > 0) return
      for (const task of this.#running) task.lose(cause)
      if (!this.#dead) onDead?.(cause)
      this.#dead = true
    })
  }

  /** False when all workers have died and no new one starts. */
  get alive(): boolean {
    return !this.#dead
  }

  get busyWorkers(): number {
    return this.#running.size
  }

  /** Seconds of all workers together in tasks, those that run now included; never falls. */
  get busySeconds(): number {
    const now = performance.now()
    let milliseconds = 0
    for (const { start } of this.#running) milliseconds += now - start
    return this.#finishedSeconds + milliseconds / 1000
  }

  /**
   * Opens a model in every worker, each of which replays the model's check vectors. No batch may run on it yet.
   *
   * @throws MODEL_CHECK_FAILED, WORKER_LOST; no worker holds the model then
   */
  async open(model: ModelSpec): Promise<void> {
    try {
      await this.#everywhere('open', { model })
    } catch (thrown) {
      // Some workers may have accepted it. One that dies at this moment holds nothing.
      await this.release(model.id).catch((err: unknown) =>
        this.#log.error({ err }, 'a model was not released'),
      )
      throw thrown
    }
  }

  /** Lets every worker forget a model, on which no batch may run any more. */
  async release(model: number): Promise<void> {
    await this.#everywhere('release', { model })
  }

  /** @throws WORKER_LOST, and what the worker fails with */
  async run(message: RunMessage): Promise<RowsReply | UnknownModelReply> {
    return this.#result(await this.#task('run', message, [message.bytes]))
  }

  /** @throws WORKER_LOST, and what the worker fails with */
  async decode(message: DecodeMessage): Promise<DecodedReply> {
    return this.#result(await this.#task('decode', message, [message.bytes]))
  }

  /** Ends the workers. No task may be running. */
  async close(): Promise<void> {
    await this.#piscina.close()
  }

  /** The same task once on each worker; the first failure, when all have replied. */
  async #everywhere<Name extends 'open' | 'release'>(
    name: Name,
    message: Omit<Parameters<WorkerTasks[Name]>[0], keyof EveryWorker>,
  ): Promise<void> {
    const barrier = createBarrier()
    const meeting: EveryWorker = { barrier, workers: this.workers }
    const tasks = Array.from({ length: this.workers }, async () => {
      const task = this.#task(name, { ...message, ...meeting } as Parameters<WorkerTasks[Name]>[0], [])
      // Whoever died will not come: the others are not to wait for it.
      task.catch(() => abandon(barrier))
      this.#result(await task)
    })
    const failures = (await Promise.allSettled(tasks)).filter(task => task.status === 'rejected')
    if (failures.length > 0) throw failures[0].reason
  }

  async #task<Name extends keyof WorkerTasks>(
    name: Name,
    message: Parameters<WorkerTasks[Name]>[0],
    transferList: ArrayBuffer[],
  ): Promise<Awaited<ReturnType<WorkerTasks[Name]>>> {
    let lose: (cause: unknown) => void = () => undefined
    const lost = new Promise<never>((_, reject) => {
      lose = reject
    })
    const task = { start: performance.now(), lose }
    this.#running.add(task)
    try {
      if (this.#dead) throw new Error('no worker is left')
      return await Promise.race([this.#piscina.run(message, { name, transferList }), lost])
    } catch (thrown) {
      // Workers return their errors as data: what is thrown here is the end of a thread.
      throw new XnordError('WORKER_LOST', `The worker died: ${(thrown as Error).message}.`, {
        cause: thrown,
        retryAfter: 1,
      })
    } finally {
      this.#running.delete(task)
      this.#finishedSeconds += (performance.now() - task.start) / 1000
    }
  }

  #result<Reply extends { readonly kind: string }>(reply: Reply | Failed): Reply {
    if (!isFailed(reply)) return reply
    if (reply.stack !== null) this.#log.error({ stack: reply.stack }, 'a task failed in a worker')
    throw new XnordError(reply.error.code, reply.error.detail)
  }
}

function isFailed(reply: { readonly kind: string }): reply is Failed {
  return reply.kind === 'failed'
}
