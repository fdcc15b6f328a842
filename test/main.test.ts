import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { Agent, createServer as createHttpServer, type IncomingMessage, request } from 'node:http'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { tinyFolder } from './serving/tiny.ts'

const digit = readFileSync(new URL('./fixtures/digit.png', import.meta.url))
const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))
const skip = !existsSync(main) && 'not built: npm test builds first'

const key = 'predict-0123456789-secret'
const adminKey = 'administrate-0123456789-secret'

interface LogLine {
  readonly level: string
  readonly msg: string
  readonly code?: string
  readonly detail?: string
  readonly url?: string
}

interface Running {
  readonly child: ChildProcess
  readonly lines: LogLine[]
  /** The exit code, or the signal that ended it; all lines are there by then. */
  readonly ended: Promise<number | string>
  /** Resolves with the first line that has a member of this name. */
  readonly line: (name: 'url' | 'code' | 'signal') => Promise<LogLine>
}

/** The built server with these variables alone: others would bring settings of ours, or the test runner's loaders. */
function run(environment: Record<string, string>): Running {
  const child = spawn(process.execPath, [main], {
    env: { XNORD_WORKERS: '1', XNORD_PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: LogLine[] = []
  createInterface({ input: child.stdout! }).on('line', text => lines.push(JSON.parse(text)))
  const ended = once(child, 'close').then(([code, signal]) => code ?? signal)
  return {
    child,
    lines,
    ended,
    async line(name) {
      for (;;) {
        const found = lines.find(line => name in line)
        if (found !== undefined) return found
        if (child.exitCode !== null) throw new Error(`it ended: ${JSON.stringify(lines)}`)
        await delay(20)
      }
    },
  }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} ends the process with 0`, { skip }, async t => {
    const { child, ended, line } = run({ XNORD_MODELS: tinyFolder(t.testdir()) })
    await line('url')
    child.kill(signal)
    t.equal(await ended, 0)
  })
}

test('a request under way at SIGTERM gets its answer, and then the process ends with 0', {
  skip,
}, async t => {
  const { child, ended, line } = run({ XNORD_MODELS: tinyFolder(t.testdir()) })
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const { url } = await line('url')
  const headers = { 'content-type': 'image/png', 'content-length': digit.length }
  const upload = request(`${url}/predict`, { method: 'POST', agent, headers })
  const answered = once(upload, 'response')
  upload.write(digit.subarray(0, 100))
  await once(upload, 'socket')
  await delay(200)
  child.kill('SIGTERM')
  await line('signal')
  await delay(200)
  upload.end(digit.subarray(100))
  const [answer] = (await answered) as [IncomingMessage]
  answer.resume()
  t.equal(answer.statusCode, 200)
  t.equal(await ended, 0)
})

test('a second signal ends the process at once', { skip }, async t => {
  const { child, ended, line } = run({ XNORD_MODELS: tinyFolder(t.testdir()), XNORD_DRAIN_SECONDS: '3600' })
  await line('url')
  child.kill('SIGTERM')
  await line('signal')
  child.kill('SIGTERM')
  t.equal(await ended, 128 + 15)
})

test('a mistake in the configuration ends the start with 1 and is named', { skip }, async t => {
  const { ended, lines } = run({ XNORD_PORTS: '1', XNORD_PORT: 'abc' })
  t.equal(await ended, 1)
  t.equal(lines.length, 1)
  t.match(lines[0], {
    level: 'fatal',
    code: 'CONFIGURATION_INVALID',
    detail: /XNORD_PORT: .*\nXNORD_PORTS: /,
  })
})

test('a taken port ends the start with 1 and one clear line', { skip }, async t => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const { port } = other.address() as { port: number }
  const { ended, lines } = run({ XNORD_MODELS: tinyFolder(t.testdir()), XNORD_PORT: String(port) })
  t.equal(await ended, 1)
  t.match(
    lines.filter(({ level }) => level === 'fatal'),
    [{ code: 'LISTEN_FAILED', detail: `127.0.0.1:${port}: another process listens there` }],
  )
})

test('an empty models folder ends the start with 1 and MODELS_MISSING', { skip }, async t => {
  const { ended, lines } = run({ XNORD_MODELS: t.testdir({}) })
  t.equal(await ended, 1)
  t.match(lines.at(-1), { level: 'fatal', code: 'MODELS_MISSING' })
})

test('the configuration is logged at the start', { skip }, async t => {
  const { child, ended, lines, line } = run({ XNORD_MODELS: tinyFolder(t.testdir()), XNORD_QUEUE_ROWS: '77' })
  await line('url')
  t.match(lines[0], { level: 'info', msg: 'xnord starts', config: { queueRows: 77, workers: 1 } })
  child.kill('SIGTERM')
  await ended
})

test('keys are asked for, and neither they nor what is sent for them reaches the log', { skip }, async t => {
  const folder = t.testdir({ models: {}, keys: `${adminKey}\n` })
  const { child, ended, lines, line } = run({
    XNORD_MODELS: tinyFolder(`${folder}/models`),
    XNORD_KEYS: key,
    XNORD_ADMIN_KEYS_FILE: `${folder}/keys`,
    XNORD_LOG_LEVEL: 'trace',
  })
  const { url } = await line('url')
  const statuses: number[] = []
  for (const token of [key, adminKey, 'another-secret']) {
    const answer = await fetch(`${url}/models`, { headers: { authorization: `Bearer ${token}` } })
    await answer.body?.cancel()
    statuses.push(answer.status)
  }
  t.same(statuses, [200, 200, 401])
  child.kill('SIGTERM')
  t.equal(await ended, 0)
  t.match(lines[0], { config: { keys: ['…'], keysFile: [], adminKeys: [], adminKeysFile: ['…'] } })
  t.equal(lines.filter(({ msg }) => msg === 'request').length, 3, 'the last lines are there, too')
  t.notMatch(JSON.stringify(lines), /secret/)
})

test('a mistake in keys is named, and they are not', { skip }, async t => {
  const { ended, lines } = run({ XNORD_KEYS: 'short-secret' })
  t.equal(await ended, 1)
  t.match(lines, [{ level: 'fatal', detail: /^XNORD_KEYS: key 1 of the list must be 16 to 512 / }])
  t.notMatch(JSON.stringify(lines), /secret/)
})

test('a client that outlasts the shutdown limit is cut off, and the process ends with 1', {
  skip,
}, async t => {
  const { child, ended, line } = run({
    XNORD_MODELS: tinyFolder(t.testdir()),
    XNORD_SHUTDOWN_SECONDS: '1',
  })
  const { url } = await line('url')
  const headers = { 'content-type': 'image/png', 'content-length': digit.length }
  const upload = request(`${url}/predict`, { method: 'POST', headers })
  const failed = once(upload, 'error')
  upload.on('error', () => {})
  upload.write(digit.subarray(0, 100))
  await once(upload, 'socket')
  await delay(200)
  child.kill('SIGTERM')
  await failed
  t.equal(await ended, 1)
})

test('the last spans reach the collector before the process ends', { skip }, async t => {
  const posts: string[] = []
  const collector = createHttpServer((message, response) => {
    posts.push(message.url!)
    message.resume()
    response.end()
  }).listen(0, '127.0.0.1')
  await once(collector, 'listening')
  t.teardown(() => {
    collector.closeAllConnections()
    collector.close()
  })
  const { port } = collector.address() as { port: number }
  const { child, ended, line } = run({
    XNORD_MODELS: tinyFolder(t.testdir()),
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
  })
  const { url } = await line('url')
  t.equal((await fetch(`${url}/models`)).status, 200)
  child.kill('SIGTERM')
  t.equal(await ended, 0)
  t.same(posts, ['/v1/traces'])
})
