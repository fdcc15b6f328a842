import { createServer, type Server } from 'node:http'
import type { Config } from '../config.ts'

/** Node's server, with our limits on how long a connection may take, in the place of Fastify's own. */
export function createHttpServer({
  requestSeconds,
  keepAliveSeconds,
}: Pick<Config, 'requestSeconds' | 'keepAliveSeconds'>): Server {
  const requestTimeout = requestSeconds * 1000
  return createServer({
    requestTimeout,
    // Node exchanges the two limits where that of the headers is the longer one.
    headersTimeout: Math.min(requestTimeout, 60_000),
    // Node looks only so often; a request may last that much longer.
    connectionsCheckingInterval: Math.min(requestTimeout / 2, 1000),
    keepAliveTimeout: keepAliveSeconds * 1000,
  })
}
