import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { Config } from './config.ts'
import { XnordError } from './errors.ts'
import { buildApp } from './http/app.ts'
import { createMetrics } from './http/metrics.ts'
import { Statistics } from './http/statistics.ts'
import { startTracing } from './http/tracing.ts'
import { availableCores } from './serving/cores.ts'
import { createService } from './serving/service.ts'

/** Milliseconds that workers may take, when nobody waits for them any more, to finish what they have in hand. */
const workersEnd = 5000

/** A server that listens. */
export interface Server {
  /** Such as `http://127.0.0.1:8080`. */
  readonly url: string
  /**
   * Turns readiness off, serves on for the drain delay, stops listening, answers the requests under way, and ends the
   * workers. Clients that are still there when the limit has passed are cut off.
   *
   * @returns whether every request under way got its answer
   */
  stop(): Promise<boolean>
}

/**
 * Loads the models, verifies them on every worker, and only then listens: who can connect can be answered.
 *
 * @param onDead called once where no worker is left and none can start: the server will only refuse from then on
 * @throws MODELS_MISSING, CONFIGURATION_INVALID, LISTEN_FAILED; nothing is left running then
 */
export async function startServer(
  config: Config,
  log: Logger,
  onDead?: (cause: unknown) => void,
): Promise<Server> {
  const tracing = await startTracing(process.env, log)
  const metrics = createMetrics()
  const statistics = new Statistics()
  const service = await createService({
    models: config.models,
    workers: config.workers ?? availableCores(),
    queueRows: config.queueRows,
    maxBatchRows: config.maxBatchRows ?? undefined,
    batchDelay: config.batchDelay,
    watchSeconds: config.modelsWatch,
    backend: config.backend ?? undefined,
    maxPixels: config.maxPixels,
    defaultModel: config.defaultModel ?? undefined,
    observer: statistics.observe(metrics.observer),
    log,
    onDead,
  })
  let draining = false
  const app = await buildApp({ service, config, metrics, statistics, log, draining: () => draining, tracing })
  const url = await listen(app, config).catch(async failure => {
    await app.close()
    await service.close()
    await tracing?.close()
    throw failure
  })

  return {
    url,
    async stop() {
      draining = true
      await delay(config.drainSeconds * 1000)
      let complete = true
      const limit = setTimeout(() => {
        complete = false
        app.server.closeAllConnections()
      }, config.shutdownSeconds * 1000)
      await app.close()
      clearTimeout(limit)
      const ended = service.close().then(() => true)
      const answered = await Promise.race([ended, delay(workersEnd, false, { ref: false })])
      await tracing?.close()
      return complete && answered
    },
  }
}

async function listen(app: FastifyInstance, { host, port }: Config): Promise<string> {
  try {
    return await app.listen({ host, port })
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException
    throw new XnordError('LISTEN_FAILED', `${host}:${port}: ${reasons[code] ?? message}`, { cause })
  }
}

/** Why an address cannot be listened on, for those who do not know the system's error codes. */
const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this user may not listen there',
}
