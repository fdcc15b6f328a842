import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type ClientOptions, createClient } from '../../src/client/client.ts'
import { listen, type TestOptions, testApp } from '../http/helper.ts'

type Teardown = Parameters<typeof testApp>[0]

/** A client of the real app, which listens, over a test double of serving. */
export async function clientOfApp(
  t: Teardown,
  { app: appOptions = {}, ...options }: Partial<ClientOptions> & { readonly app?: TestOptions } = {},
) {
  const { app, ...rest } = await testApp(t, appOptions)
  const url = `http://127.0.0.1:${await listen(app)}`
  return { client: createClient({ url, ...options }), url, ...rest }
}

/** The address of a server that answers as it is told, in place of xnord or between it and the client. */
export async function serve(t: Teardown, answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.teardown(async () => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
