import type { FastifyInstance } from 'fastify'
import type { Metrics } from '../metrics.ts'

/** Closes at once, and counts, what connects while there are as many connections as there may be. */
export function limitConnections(app: FastifyInstance, most: number, metrics: Metrics): void {
  app.server.maxConnections = most
  app.server.on('drop', () => metrics.connectionRefused())
}
