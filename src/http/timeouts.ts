/**
 * Node's limits on how long a request may take to arrive, in milliseconds.
 *
 * @param seconds for all of it
 */
export function timeouts(seconds: number) {
  const requestTimeout = seconds * 1000
  return {
    requestTimeout,
    http: {
      // Node exchanges the two limits where that of the headers is the longer one.
      headersTimeout: Math.min(requestTimeout, 60_000),
      // Node looks only so often; a request may last that much longer.
      connectionsCheckingInterval: Math.min(requestTimeout / 2, 1000),
    },
  }
}
