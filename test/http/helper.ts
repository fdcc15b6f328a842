import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { type Config, readConfig } from '../../src/config.ts'
import { type AppOptions, buildApp } from '../../src/http/app.ts'
import { createMetrics } from '../../src/http/metrics.ts'
import { Statistics } from '../../src/http/statistics.ts'
import { findUndocumented } from './documented.ts'
import { type FakeOptions, fakeService } from './fake-service.ts'

export interface TestOptions extends FakeOptions {
  readonly config?: Partial<Config>
  readonly draining?: () => boolean
  readonly log?: AppOptions['log']
  readonly tracing?: AppOptions['tracing']
}

interface Teardown {
  teardown(fn: () => Promise<void>): void
}

/** The app over a test double of serving, closed when the test ends, which fails on an answer that is not documented. */
export async function testApp(
  t: Teardown,
  { config = {}, draining, log, tracing, ...fake }: TestOptions = {},
) {
  const { service, requests, changes } = fakeService(fake)
  const metrics = createMetrics()
  const statistics = new Statistics()
  let undocumented: ReadonlySet<string> = new Set()
  const app = await buildApp({
    service,
    metrics,
    statistics,
    config: { ...readConfig({}), logLevel: 'silent', ...config },
    ...(draining !== undefined && { draining }),
    ...(log !== undefined && { log }),
    tracing: {
      // It comes before all routes, as whoever is to see every answer must.
      async trace(app) {
        undocumented = findUndocumented(app)
        await tracing?.trace(app)
      },
      close: async () => tracing?.close(),
    },
  })
  t.teardown(async () => {
    await app.close()
    if (undocumented.size > 0) throw new Error(`/openapi.json lacks ${[...undocumented].join('; ')}`)
  })
  return { app, requests, changes, metrics, statistics }
}

export interface Part {
  readonly name?: string
  /** Without it the part is a field, not a file. */
  readonly filename?: string
  readonly content: Uint8Array | string
}

/** A multipart request for `inject`. */
export function multipart(parts: readonly Part[]) {
  const boundary = 'boundary-of-the-test'
  const chunks = parts.flatMap(({ name = 'file', filename, content }) => [
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${
        filename === undefined ? '' : `; filename="${filename}"\r\nContent-Type: image/png`
      }\r\n\r\n`,
    ),
    Buffer.from(content),
    Buffer.from('\r\n'),
  ])
  return {
    method: 'POST' as const,
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    payload: Buffer.concat([...chunks, Buffer.from(`--${boundary}--\r\n`)]),
  }
}

/** The value of one series in the text that Prometheus scrapes; null where there is none. */
export async function metric(app: FastifyInstance, series: string): Promise<number | null> {
  const { body } = await app.inject('/metrics')
  const line = body.split('\n').find(text => text.startsWith(`${series} `))
  return line === undefined ? null : Number(line.slice(series.length + 1))
}

/** Listens on a free port of this machine. */
export async function listen(app: FastifyInstance): Promise<number> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
}
