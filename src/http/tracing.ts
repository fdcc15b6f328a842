import type { FastifyInstance } from 'fastify'
import { XnordError } from '../errors.ts'
import type { Log } from '../serving/types.ts'

/** What sends one span for each request to a collector. */
export interface Tracing {
  /** Called before any hook or route is added. */
  trace(app: FastifyInstance): Promise<void>
  /** Sends what is left, within a few seconds. */
  close(): Promise<void>
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Tracing as OpenTelemetry's own variables ask for it; null where they do not, and then nothing of it is loaded.
 *
 * @throws CONFIGURATION_INVALID where they ask for what is not offered, or its packages are not installed
 */
export async function startTracing(
  environment: Environment,
  log: Log,
  load = () => import('./tracing-sdk.ts'),
): Promise<Tracing | null> {
  if (!isAsked(environment)) return null
  refuseOthers(environment)
  const { createTracing } = await load().catch(cause => {
    const detail =
      'OTEL_…: the packages of OpenTelemetry are not installed; npm ci --include=optional does it'
    throw new XnordError('CONFIGURATION_INVALID', detail, { cause })
  })
  return createTracing(log)
}

function isAsked(environment: Environment): boolean {
  if (environment.OTEL_SDK_DISABLED?.toLowerCase() === 'true') return false
  const exporter = environment.OTEL_TRACES_EXPORTER
  if (exporter) return exporter !== 'none'
  return Boolean(environment.OTEL_EXPORTER_OTLP_ENDPOINT || environment.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)
}

function refuseOthers(environment: Environment): void {
  const offered = {
    OTEL_TRACES_EXPORTER: 'otlp',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf',
  }
  const mistakes = Object.entries(offered).flatMap(([variable, only]) => {
    const stated = environment[variable]
    return !stated || stated === only ? [] : [`${variable}: must be ${only}, not ${JSON.stringify(stated)}`]
  })
  if (mistakes.length > 0) throw new XnordError('CONFIGURATION_INVALID', mistakes.join('\n'))
}
