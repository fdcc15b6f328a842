import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ResourceLimits, Worker } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { XnordError } from '../errors.ts'
import { Bag } from './bag.ts'
import { keepHeapsSmall, workerYoungMegabytes } from './heaps.ts'
import type {
  DecodedReply,
  DecodeMessage,
  Failed,
  OpenMessage,
  ReleaseMessage,
  RowsReply,
  RunMessage,
  UnknownModelReply,
  WorkerData,
  WorkerTasks,
} from './messages.ts'
import { unpackRows } from './packed-rows.ts'
import type { Log, Observer, WorkerLossCause } from './types.ts'

export interface WorkerPoolOptions extends WorkerData {
  readonly workers: number
  readonly log: Log
  readonly observer: Pick<Observer, 'workerLost'>
  /** The module that each worker runs, another one in tests. */
  readonly entry?: URL
  /** Of each worker, beside that of its young generation; without it those of V8. */
  readonly resourceLimits?: ResourceLimits
  /** Called when the last worker has died and none can start: no task will ever be done again. */
  readonly onDead?: ((cause: unknown) => void) | undefined
}

/** The source where the source runs, else what was built of it. */
const workerEntry = new URL(`./worker${extname(import.meta.url)}`, import.meta.url)

/** Longer than any task takes: to end a worker in the middle of an ONNX call aborts the whole process. */
const never = 2 ** 31 - 1

/** Piscina hands what stands under this symbol to the balancer, and does not send it to the worker. */
const { queueOptionsSymbol } = Piscina

interface Addressed {
  readonly [queueOptionsSymbol]?: { readonly thread: number }
}

interface RunningTask {
  readonly start: number
  readonly lose: (cause: unknown) => void
}

/** The threads that compute. One task a thread: the caller hands over no more tasks than there are workers. */
export class WorkerPool {
  readonly workers: number
  readonly #piscina: Piscina
  readonly #log: Log
  readonly #observer: WorkerPoolOptions['observer']
  readonly #running = new Bag<RunningTask>()
  #finishedSeconds = 0
  #dead = false
  #closing = false

  constructor({
    workers,
    backend,
    maxPixels,
    log,
    observer,
    entry = workerEntry,
    resourceLimits,
    onDead,
  }: WorkerPoolOptions) {
    this.workers = workers
    this.#log = log
    this.#observer = observer
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
      resourceLimits: { maxYoungGenerationSizeMb: workerYoungMegabytes, ...resourceLimits },
      loadBalancer(task, threads) {
        const address = (task as unknown as Addressed)[queueOptionsSymbol]
        // Whoever was addressed may have died meanwhile: the task is good for whoever is free, too.
        const addressee = address && threads.find(({ id }) => id === address.thread)
        return addressee ?? threads.find(({ currentUsage }) => currentUsage === 0) ?? null
      },
    })
    this.#piscina.on('workerCreate', ({ id }: { readonly id: number }) => {
      this.#watch(this.#piscina.threads.find(({ threadId }) => threadId === id)!)
    })
    // A worker died between two tasks, or could not start. Only where none is left is there nobody to go on.
    this.#piscina.on('error', (cause: unknown) => {
      this.#log.error({ err: cause }, 'a worker died')
      if (this.#piscina.threads.length > 0) return
      for (const task of this.#running.items()) task.lose(cause)
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
    for (const { start } of this.#running.items()) milliseconds += now - start
    return this.#finishedSeconds + milliseconds / 1000
  }

  /** The ids of the workers that there are. One that dies is replaced by another one, of another id. */
  get threads(): readonly number[] {
    return this.#piscina.threads.map(({ threadId }) => threadId)
  }

  /**
   * Opens a model in one worker, which replays the model's check vectors. If it has a task in hand it does both, turn
   * about wherever that one waits.
   *
   * @throws MODEL_CHECK_FAILED, WORKER_LOST
   */
  async open(message: OpenMessage, thread: number): Promise<void> {
    this.#result(await this.#task('open', message, { thread }))
  }

  /** Lets one worker forget a model, on which it computes no batch any more. */
  async release(message: ReleaseMessage, thread: number): Promise<void> {
    this.#result(await this.#task('release', message, { thread }))
  }

  /** @throws WORKER_LOST, and what the worker fails with */
  async run(message: RunMessage): Promise<RowsReply | UnknownModelReply> {
    const reply = this.#result(await this.#task('run', message, { transferList: [message.bytes] }))
    return reply.kind === 'packed-rows' ? unpackRows(reply) : reply
  }

  /** @throws WORKER_LOST, and what the worker fails with */
  async decode(message: DecodeMessage): Promise<DecodedReply> {
    return this.#result(await this.#task('decode', message, { transferList: [message.bytes] }))
  }

  /** Ends the workers. No task may be running. */
  async close(): Promise<void> {
    this.#closing = true
    await this.#piscina.close()
  }

  /** Tells when a worker dies, and of what. */
  #watch(thread: Worker): void {
    let cause: WorkerLossCause = 'exit'
    let error: unknown
    thread.once('online', keepHeapsSmall)
    thread.once('error', (thrown: NodeJS.ErrnoException) => {
      cause = thrown.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'memory' : 'error'
      error = thrown
    })
    thread.once('exit', (exitCode: number) => {
      if (this.#closing) return
      this.#log.warn({ cause, exitCode, err: error }, 'a worker was lost, and is replaced')
      this.#observer.workerLost(cause)
    })
  }

  async #task<Name extends keyof WorkerTasks>(
    name: Name,
    message: Parameters<WorkerTasks[Name]>[0],
    { transferList = [], thread }: { readonly transferList?: ArrayBuffer[]; readonly thread?: number },
  ): Promise<Awaited<ReturnType<WorkerTasks[Name]>>> {
    let lose: (cause: unknown) => void = () => undefined
    const lost = new Promise<never>((_, reject) => {
      lose = reject
    })
    const task = { start: performance.now(), lose }
    const place = this.#running.add(task)
    try {
      if (this.#dead) throw new Error('no worker is left')
      const addressed = thread === undefined ? message : { ...message, [queueOptionsSymbol]: { thread } }
      return await Promise.race([this.#piscina.run(addressed, { name, transferList }), lost])
    } catch (thrown) {
      // Workers return their errors as data: what is thrown here is the end of a thread.
      throw new XnordError('WORKER_LOST', `The worker died: ${(thrown as Error).message}.`, {
        cause: thrown,
        retryAfter: 1,
      })
    } finally {
      this.#running.remove(place)
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
