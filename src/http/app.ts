import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import type { Config } from '../config.ts'
import type { Service } from '../serving/types.ts'
import type { HttpContext } from './context.ts'
import { createHttpServer } from './create-server.ts'
import { toXnordError } from './fastify-errors.ts'
import { HeldBytes } from './held-bytes.ts'
import type { Metrics } from './metrics.ts'
import { answerClientErrors } from './plugins/client-error.ts'
import { endConnectionsOnClose } from './plugins/closing.ts'
import { limitConnections } from './plugins/connections.ts'
import { docs } from './plugins/docs.ts'
import { answerErrors, inferenceStyle, newRequestId, problemStyle, sendError } from './plugins/errors.ts'
import { readIntegers } from './plugins/integers.ts'
import { createKeyHooks } from './plugins/keys.ts'
import { collectMethods } from './plugins/methods.ts'
import { addOpenapi, keySecurity } from './plugins/openapi.ts'
import { page } from './plugins/page.ts'
import { closePipelined } from './plugins/pipelining.ts'
import { createRateLimit } from './plugins/rate-limit.ts'
import { recordRequests } from './plugins/record.ts'
import { boundRestOfBody } from './plugins/rest-of-body.ts'
import { addSecurityHeaders, securityHeaders } from './plugins/security-headers.ts'
import { shedOverload } from './plugins/shedding.ts'
import { limitUnread } from './plugins/unread-answers.ts'
import { classifyRoutes } from './routes/classify.ts'
import { metricsRoute } from './routes/metrics.ts'
import { modelRoutes } from './routes/models.ts'
import { healthRoutes } from './routes/v2-health.ts'
import { inferRoutes } from './routes/v2-infer.ts'
import { metadataRoutes } from './routes/v2-models.ts'
import { repositoryRoutes } from './routes/v2-repository.ts'
import { statisticsRoutes } from './routes/v2-statistics.ts'
import type { Statistics } from './statistics.ts'
import type { Tracing } from './tracing.ts'

export interface AppOptions {
  readonly service: Service
  readonly config: Config
  readonly metrics: Metrics
  readonly statistics: Statistics
  /** Without it nothing is logged. */
  readonly log?: FastifyBaseLogger
  /** Turns readiness off when it becomes true. */
  readonly draining?: () => boolean
  /** Without it no spans are made. */
  readonly tracing?: Tracing | null
}

/** The HTTP side of a running service, not listening yet. Closing it leaves the service running. */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { service, config, metrics, statistics, log } = options
  const heldBytes = new HeldBytes(config.maxHeldBytes)
  const requestLog = log !== undefined && config.logRequests ? log : null
  metrics.watch(service, heldBytes, config.batchDelay)

  // Fastify makes the server before there is anything to close.
  let isClosing = () => false
  const app = Fastify({
    ...(log !== undefined && { loggerInstance: log }),
    logController: new LogController({ disableRequestLogging: true }),
    childLoggerFactory: logger => logger,
    genReqId: newRequestId,
    bodyLimit: config.maxBodyBytes,
    trustProxy: config.trustedProxies.length > 0 && [...config.trustedProxies],
    // What still arrives on open connections while the server closes is answered as ever; serving refuses what it cannot take.
    return503OnClosing: false,
    routerOptions: { maxParamLength: 256, ignoreTrailingSlash: true },
    // Parameters that do not exist are mistakes of the caller, not to be dropped; and no value is taken for another. That
    // the schemas are well formed is for tests: to compile the schema of schemas takes longer than all of them.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, validateSchema: false } },
    // The schemas of answers are the documentation's; tests hold answers to them. JSON.stringify is the faster writer.
    schemaController: { compilersFactory: { buildSerializer: () => () => data => JSON.stringify(data) } },
    frameworkErrors: (thrown, request, reply) => {
      // No hook runs for what has no address.
      reply.headers({ ...securityHeaders, 'x-request-id': request.id })
      sendError(toXnordError(thrown, problemStyle.invalidBody), request, reply, problemStyle)
    },
    clientErrorHandler: answerClientErrors(metrics, requestLog),
    serverFactory(handle) {
      const server = createHttpServer(config)
      server.on(
        'request',
        shedOverload(handle, {
          maxLag: config.maxLag,
          unreadLimit: config.requestSeconds * 1000,
          service,
          metrics,
          statistics,
          closing: () => isClosing(),
          log: requestLog,
        }),
      )
      return server
    },
  })
  app.decorateRequest('model', null)
  app.decorateRequest('receivedAt', 0)
  app.decorateRequest('traceId', null)
  app.decorateRequest('keyNumber', null)
  app.decorateRequest('rows', null)
  app.decorateRequest('stages', null)
  app.decorateRequest('encoding', null)
  app.decorateRequest('code', null)
  await options.tracing?.trace(app)
  addSecurityHeaders(app, securityHeaders)
  recordRequests(app, metrics, statistics, requestLog)
  limitConnections(app, config.maxConnections, metrics)
  boundRestOfBody(app)
  closePipelined(app)
  limitUnread(app, config.requestSeconds * 1000)
  isClosing = endConnectionsOnClose(app)
  readIntegers(app)

  const methodsOf = collectMethods(app)
  answerErrors(app, problemStyle, methodsOf)
  await addOpenapi(app)
  await app.register(docs)
  const limitRate = await createRateLimit(app, config.rateLimit)
  const context: HttpContext = {
    service,
    config,
    metrics,
    statistics,
    heldBytes,
    keys: createKeyHooks(config, limitRate),
    draining: options.draining ?? (() => false),
  }
  await app.register(metricsRoute, context)
  const guard = (scope: FastifyInstance) => {
    scope.addHook('onRequest', context.keys.requireKey)
    if (context.keys.asking) {
      scope.addHook('onRoute', route => {
        route.schema = { ...route.schema, security: keySecurity }
      })
    }
    if (config.rateLimit > 0) scope.addHook('onRequest', limitRate)
  }
  await app.register(async guarded => {
    guard(guarded)
    await guarded.register(classifyRoutes, context)
    await guarded.register(modelRoutes, context)
  })
  await app.register(
    async v2 => {
      answerErrors(v2, inferenceStyle, methodsOf)
      await v2.register(healthRoutes, context)
      await v2.register(async guarded => {
        guard(guarded)
        await guarded.register(metadataRoutes, context)
        await guarded.register(inferRoutes, context)
        await guarded.register(repositoryRoutes, context)
        await guarded.register(statisticsRoutes, context)
      })
    },
    { prefix: '/v2' },
  )
  await app.register(page)
  return app
}
