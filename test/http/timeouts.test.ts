import { test } from 'tap'
import { timeouts } from '../../src/http/timeouts.ts'

test('a request outlasts its limit by a second at most, and by less where the limit is short', t => {
  t.same(timeouts(300), {
    requestTimeout: 300_000,
    http: { headersTimeout: 60_000, connectionsCheckingInterval: 1000 },
  })
  t.same(timeouts(1), {
    requestTimeout: 1000,
    http: { headersTimeout: 1000, connectionsCheckingInterval: 500 },
  })
  t.end()
})
