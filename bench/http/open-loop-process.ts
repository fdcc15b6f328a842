/** The generator of `open-loop.ts`, alone on its core: it never sleeps, since timers are a millisecond late. */

import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Random } from '../../test/random-model.ts'
import type { Latency, OpenLoopResult, OpenLoopTask } from './open-loop.ts'

const task = JSON.parse(process.argv[2]) as OpenLoopTask
const { url, path, headers, bodyFiles, connections, rate, warmUpSeconds, seconds, seed } = task
const { hostname, port } = new URL(url)
/** Milliseconds after the last request in which answers still count. */
const patience = 30_000

const requests = bodyFiles.map(file => {
  const body = readFileSync(file)
  const fields = { host: `${hostname}:${port}`, 'content-length': body.length, ...headers }
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${head.join('')}\r\n`), body])
})

interface Connection {
  readonly socket: Socket
  /** When the request that it carries was due; null while it carries none. */
  due: number | null
  received: string
}

/** The one that was used last is the next: as a client's pool does it, and few stay busy where few are needed. */
const idle: Connection[] = []
/** When those were due that found no connection: they wait, and their latency runs. */
const waiting: number[] = []
/** By status. */
const answers = new Map<string, { count: number; readonly latencies: number[] }>()
const behind: number[] = []
/** What was due before this moment warms the server up: it is counted, but not timed. */
let timing = 0
let outstanding = 0
let sent = 0
let lost = 0

function send(due: number): void {
  outstanding++
  const connection = idle.pop()
  if (connection === undefined) waiting.push(due)
  else sendOn(connection, due)
}

function sendOn(connection: Connection, due: number): void {
  connection.due = due
  if (due >= timing) behind.push(performance.now() - due)
  connection.socket.write(requests[sent++ % requests.length])
}

function open(): Connection {
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  const connection: Connection = { socket, due: null, received: '' }
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => receive(connection, text))
  // What went wrong does not matter: 'close' comes next, and the answer is missing.
  socket.on('error', () => undefined)
  socket.on('close', () => {
    if (connection.due !== null) {
      lost++
      outstanding--
    }
    const index = idle.indexOf(connection)
    if (index >= 0) idle.splice(index, 1)
    release(open())
  })
  return connection
}

/** Answers have a Content-Length each. */
function receive(connection: Connection, text: string): void {
  connection.received += text
  const end = connection.received.indexOf('\r\n\r\n')
  if (end < 0) return
  const head = connection.received.slice(0, end)
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
  if (connection.received.length < end + 4 + length) return
  connection.received = ''
  record(head.slice(9, 12), connection.due!)
  connection.due = null
  outstanding--
  if (/\r\nconnection: close/i.test(head)) connection.socket.end()
  else release(connection)
}

function record(status: string, due: number): void {
  const known = answers.get(status) ?? { count: 0, latencies: [] }
  answers.set(status, known)
  known.count++
  if (due >= timing) known.latencies.push(performance.now() - due)
}

function release(connection: Connection): void {
  const next = waiting.shift()
  if (next === undefined) idle.push(connection)
  else sendOn(connection, next)
}

const turn = () => new Promise<void>(resolve => setImmediate(resolve))
const random = new Random(seed)

for (let index = 0; index < connections; index++) idle.push(open())
// A server takes many new connections one after the other; how fast it does is not the question.
await delay(500)
let due = performance.now()
timing = due + warmUpSeconds * 1000
const end = timing + seconds * 1000
while (due < end) {
  due += (-Math.log(1 - random.uniform()) / rate) * 1000
  while (performance.now() < due) await turn()
  send(due)
}
while (outstanding > 0 && performance.now() < end + patience) await delay(1)

const result: OpenLoopResult = {
  sent,
  answered: Object.fromEntries(
    Array.from(answers, ([status, { count, latencies }]) => [status, summary(count, latencies)]),
  ),
  lost: lost + outstanding,
  behind: summary(sent, behind),
}
process.stdout.write(JSON.stringify(result), () => process.exit(0))

function summary(count: number, values: readonly number[]): Latency {
  const sorted = Float64Array.from(values).sort()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
  return { count, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? Number.NaN }
}
