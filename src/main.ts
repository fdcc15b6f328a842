import { constants } from 'node:os'
import { pino } from 'pino'
import { readConfig, withoutSecrets } from './config.ts'
import { asXnordError } from './errors.ts'
import { type Server, startServer } from './server.ts'

const options = { base: undefined, formatters: { level: (label: string) => ({ level: label }) } }
// Lines are written together, and soon: one system call for each would cost more than all else that a line costs.
const output = pino.destination({ sync: true, minLength: 4096, periodicFlush: 100 })
process.on('exit', () => output.flushSync())
let log = pino(options, output)

// A rejection that nobody handles arrives here, too: the state of the process is unknown, so it ends.
process.on('uncaughtException', error => {
  log.fatal({ err: error }, 'an error that nobody handled')
  process.exit(1)
})

try {
  const config = readConfig(process.env)
  log = pino({ ...options, level: config.logLevel }, output)
  log.info({ config: withoutSecrets(config), node: process.versions.node }, 'xnord starts')
  let server: Server | null = null
  let stopping = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, async () => {
      // Before it listens there is nobody to answer.
      if (stopping || server === null) process.exit(128 + constants.signals[signal])
      stopping = true
      log.info({ signal }, 'xnord stops; a second signal ends it at once')
      const complete = await server.stop()
      log.info({ complete }, 'xnord has stopped')
      process.exit(complete ? 0 : 1)
    })
  }
  // Whoever supervises the process starts a new one; this one would only refuse.
  server = await startServer(config, log, cause => {
    log.fatal({ err: cause }, 'no worker is left, and none can start')
    process.exit(1)
  })
  log.info({ url: server.url }, 'xnord listens')
} catch (thrown) {
  const { code, title, message, cause } = asXnordError(thrown)
  log.fatal({ code, detail: message, ...(code === 'INTERNAL' && { err: cause }) }, title)
  process.exit(1)
}
