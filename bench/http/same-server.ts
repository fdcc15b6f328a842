/** xnord's own app, with all that it does for each request, and routes beside its own that answer a constant. */

import { pino } from 'pino'
import { readConfig } from '../../src/config.ts'
import { buildApp } from '../../src/http/app.ts'
import { createMetrics } from '../../src/http/metrics.ts'
import { Statistics } from '../../src/http/statistics.ts'
import { fakeService } from '../../test/http/fake-service.ts'
import { constantRoutes } from './constant.ts'

const app = await buildApp({
  service: fakeService().service,
  config: readConfig({}),
  metrics: createMetrics(),
  statistics: new Statistics(),
  // As main.ts opens it.
  log: pino({ base: undefined }, pino.destination({ sync: true, minLength: 4096, periodicFlush: 100 })),
})
await app.register(constantRoutes)
await app.listen({ port: Number(process.argv[2]) })
