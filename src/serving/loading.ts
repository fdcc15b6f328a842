import { extname } from 'node:path'
import { type ResourceLimits, Worker } from 'node:worker_threads'
import type { Backend } from '../engine/kernels/kernels.ts'
import { asXnordError, XnordError } from '../errors.ts'
import { keepHeapsSmall } from './heaps.ts'
import type { Failed } from './messages.ts'
import { identified, type LoadedModel, loadModel } from './model.ts'
import type { FoundVersion } from './repository.ts'
import type { Log } from './types.ts'

/** What `loadModel` is told, as it crosses to a thread. */
export interface LoadOrder {
  readonly found: FoundVersion
  readonly backend: Backend
  readonly slots: number
}

export interface LoadReply {
  /** All that is large in a model lies in shared memory: crossing costs little. */
  readonly result: { readonly kind: 'loaded'; readonly model: LoadedModel } | Failed
  /** What was logged meanwhile: a thread has no log of its own. */
  readonly lines: readonly LogLine[]
}

interface LogLine {
  readonly level: keyof Log
  readonly details: object
  readonly message: string
}

export interface LoadingOptions {
  /** Ends the thread, whatever it is about, when it is aborted. */
  readonly signal?: AbortSignal
  /** The module that the thread runs, another one in tests. */
  readonly entry?: URL
  /** Of the thread; without it those of V8, as for the main thread: no model meets one here that it does not meet there. */
  readonly resourceLimits?: ResourceLimits
}

/** The source where the source runs, else what was built of it. */
const loadingThread = new URL(`./loading-thread${extname(import.meta.url)}`, import.meta.url)

/**
 * `loadModel` on a thread of its own, neither this one nor a worker's: to hash, check and repack a large file takes
 * seconds, in which this one answers, and the workers compute. Its memory goes with it. At the start of the process,
 * when nobody waits for answers, `loadModel` itself is the faster way.
 *
 * @throws as loadModel, MODEL_TOO_LARGE where the thread's memory does not suffice, WORKER_LOST where it dies otherwise,
 *   SHUTTING_DOWN where it is ended
 */
export async function loadApart(
  found: FoundVersion,
  backend: Backend,
  slots: number,
  log: Log,
  options: LoadingOptions = {},
): Promise<LoadedModel> {
  const { result, lines } = await ask({ found, backend, slots }, options)
  for (const { level, details, message } of lines) log[level](details, message)
  if (result.kind === 'loaded') return identified(result.model)
  if (result.stack !== null) log.error({ stack: result.stack }, 'a model could not be loaded for a bug')
  throw new XnordError(result.error.code, result.error.detail)
}

async function ask(
  order: LoadOrder,
  { signal, entry = loadingThread, resourceLimits }: LoadingOptions,
): Promise<LoadReply> {
  try {
    return await new Promise<LoadReply>((resolve, reject) => {
      const limits = resourceLimits === undefined ? {} : { resourceLimits }
      const thread = new Worker(entry, { workerData: order, ...limits })
      // V8 forgets it where a thread begins.
      thread.once('online', keepHeapsSmall)
      thread.once('message', resolve)
      thread.once('error', reject)
      thread.once('exit', code => reject(new Error(`it ended with ${code}`)))
      const end = () => {
        reject(new XnordError('SHUTTING_DOWN', 'The loading of the model was ended.', { retryAfter: 1 }))
        void thread.terminate()
      }
      if (signal?.aborted) end()
      signal?.addEventListener('abort', end)
      thread.once('exit', () => signal?.removeEventListener('abort', end))
    })
  } catch (thrown) {
    if (thrown instanceof XnordError) throw thrown
    const { code, message } = thrown as NodeJS.ErrnoException
    if (code === 'ERR_WORKER_OUT_OF_MEMORY') {
      throw new XnordError('MODEL_TOO_LARGE', 'Loading the model takes more memory than a thread has.', {
        cause: thrown,
      })
    }
    throw new XnordError('WORKER_LOST', `The thread that loads the model died: ${message}.`, {
      cause: thrown,
      retryAfter: 1,
    })
  }
}

/** What the thread does. Its errors are data: as objects they would lose their codes. */
export async function obeyLoadOrder({ found, backend, slots }: LoadOrder): Promise<LoadReply> {
  const lines: LogLine[] = []
  const at = (level: keyof Log) => (details: object, message: string) => {
    lines.push({ level, details, message })
  }
  const log: Log = { info: at('info'), warn: at('warn'), error: at('error') }
  try {
    return { result: { kind: 'loaded', model: await loadModel(found, backend, slots, log) }, lines }
  } catch (thrown) {
    const error = asXnordError(thrown)
    const stack = error.code === 'INTERNAL' ? ((thrown as Error).stack ?? null) : null
    return { result: { kind: 'failed', error: error.data, stack }, lines }
  }
}
