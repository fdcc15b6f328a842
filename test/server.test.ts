import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { pino } from 'pino'
import { test } from 'tap'
import { type Config, readConfig } from '../src/config.ts'
import { startServer } from '../src/server.ts'
import { tinyFolder } from './serving/tiny.ts'

const log = pino({ level: 'silent' })

function configuration(models: string, more: Partial<Config> = {}): Config {
  return { ...readConfig({}), port: 0, models, workers: 1, logLevel: 'silent', ...more }
}

const ready = async (url: string) => (await fetch(`${url}/v2/health/ready`)).status

test('a server listens when its models are ready, and is gone when it has stopped', async t => {
  const server = await startServer(configuration(tinyFolder(t.testdir())), log)
  t.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/)
  t.equal(await ready(server.url), 200)
  t.equal(await server.stop(), true)
  await t.rejects(ready(server.url))
})

test('in the drain delay readiness is off, and requests are still answered', async t => {
  const server = await startServer(configuration(tinyFolder(t.testdir()), { drainSeconds: 1 }), log)
  const stopped = server.stop()
  t.equal(await ready(server.url), 503)
  t.equal((await fetch(`${server.url}/models`)).status, 200)
  t.equal(await stopped, true)
})

test('clients that outlast the shutdown limit are cut off', async t => {
  const server = await startServer(configuration(tinyFolder(t.testdir()), { shutdownSeconds: 0.2 }), log)
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  socket.on('error', () => {})
  socket.write('POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 9\r\n\r\n12')
  await once(socket, 'connect')
  await ready(server.url)
  const closed = once(socket, 'close')
  t.equal(await server.stop(), false)
  await closed
})

test('a taken port is LISTEN_FAILED, says so, and leaves nothing running', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const { port } = other.address() as { port: number }
  await t.rejects(startServer(configuration(tinyFolder(t.testdir()), { port }), log), {
    code: 'LISTEN_FAILED',
    message: `127.0.0.1:${port}: another process listens there`,
  })
})

test('no models is MODELS_MISSING', async t => {
  await t.rejects(startServer(configuration(t.testdir({})), log), { code: 'MODELS_MISSING' })
})
