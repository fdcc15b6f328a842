import { test } from 'tap'
import { createHttpServer } from '../../src/http/create-server.ts'

/** `connectionsCheckingInterval` is a property that Node's types do not declare. */
const limitsOf = (requestSeconds: number, keepAliveSeconds: number) => {
  const server = createHttpServer({ requestSeconds, keepAliveSeconds })
  server.close()
  const { requestTimeout, headersTimeout, keepAliveTimeout, connectionsCheckingInterval } =
    server as typeof server & { readonly connectionsCheckingInterval: number }
  return { requestTimeout, headersTimeout, keepAliveTimeout, connectionsCheckingInterval }
}

test('a request outlasts its limit by a second at most, and by less where the limit is short', t => {
  t.same(limitsOf(300, 72), {
    requestTimeout: 300_000,
    headersTimeout: 60_000,
    keepAliveTimeout: 72_000,
    connectionsCheckingInterval: 1000,
  })
  t.same(limitsOf(1, 5), {
    requestTimeout: 1000,
    headersTimeout: 1000,
    keepAliveTimeout: 5000,
    connectionsCheckingInterval: 500,
  })
  t.end()
})
