import { setTimeout as delay } from 'node:timers/promises'
import { FastifyOtelInstrumentation } from '@fastify/otel'
import { DiagLogLevel, diag, propagation } from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base'
import type { FastifyRequest } from 'fastify'
import type { Log } from '../serving/types.ts'
import type { Tracing } from './tracing.ts'
import { version } from './version.ts'

/** Milliseconds that the last spans may take to the collector. */
const closing = 5000

/** The one module that knows OpenTelemetry. The libraries read its other variables (endpoint, sampler, …) themselves. */
export function createTracing(log: Log): Tracing {
  // Such as a collector that does not answer: the spans are lost, and the log is to say so.
  const warn = (message: string) => log.warn({ detail: message }, 'OpenTelemetry')
  diag.setLogger(
    { error: warn, warn, info: () => {}, debug: () => {}, verbose: () => {} },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  )
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  const provider = new BasicTracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'xnord', 'service.version': version }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  })
  const instrumentation = new FastifyOtelInstrumentation({
    // One span a request: its stages are attributes, as hooks are of no interest to who reads a trace.
    instrumentHooks: false,
    instrumentHandler: false,
    requestHook(span, request) {
      span.updateName(`${request.method} ${request.routeOptions.url ?? ''}`.trimEnd())
      request.traceId = span.spanContext().traceId
    },
  })
  instrumentation.setTracerProvider(provider)

  return {
    async trace(app) {
      await app.register(instrumentation.plugin())
      app.addHook('onSend', (request, _reply, _payload, next) => {
        request.opentelemetry().span?.setAttributes(attributesOf(request))
        next()
      })
    },
    async close() {
      const sent = provider.shutdown().catch((error: Error) => warn(error.message))
      await Promise.race([sent, delay(closing, undefined, { ref: false })])
      instrumentation.disable()
      propagation.disable()
      diag.disable()
    },
  }
}

/** What is undefined is left out. */
function attributesOf(request: FastifyRequest) {
  const { model, rows, stages, encoding, code } = request
  return {
    'xnord.request.id': request.id,
    'xnord.model': model?.name,
    'xnord.version': model?.version,
    'xnord.rows': rows ?? undefined,
    'xnord.queue.milliseconds': stages?.queue,
    'xnord.decode.milliseconds': stages?.decode,
    'xnord.compute.milliseconds': stages?.compute ?? undefined,
    'xnord.baseline.milliseconds': stages?.baseline ?? undefined,
    'xnord.encode.milliseconds': encoding ?? undefined,
    'error.type': code ?? undefined,
  }
}
