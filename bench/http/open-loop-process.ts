/** The generator of `open-loop.ts`, alone on its core: it never sleeps, since timers are a millisecond late. */

import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Random } from '../../test/random-model.ts'
import type { Latency, OpenLoopResult, OpenLoopTask } from './open-loop.ts'

const { url, path, headers, bodyFiles, rate, seconds, seed } = JSON.parse(process.argv[2]) as OpenLoopTask
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

/** As many clients as there are: what is due while all of them wait for an answer waits, and its latency runs. */
const mostConnections = 1000

const idle: Connection[] = []
/** When those were due that found no connection. */
const waiting: number[] = []
let connections = 0
const latencies = new Map<string, number[]>()
const behind: number[] = []
let outstanding = 0
let sent = 0
let lost = 0

function send(due: number): void {
  outstanding++
  const connection = idle.pop() ?? (connections < mostConnections ? open() : null)
  if (connection === null) waiting.push(due)
  else sendOn(connection, due)
}

function sendOn(connection: Connection, due: number): void {
  connection.due = due
  behind.push(performance.now() - due)
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
    connections--
    if (connection.due !== null) {
      lost++
      outstanding--
    }
    const index = idle.indexOf(connection)
    if (index >= 0) idle.splice(index, 1)
    const next = waiting.shift()
    if (next !== undefined) sendOn(open(), next)
  })
  connections++
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
  const status = head.slice(9, 12)
  const list = latencies.get(status) ?? []
  latencies.set(status, list)
  list.push(performance.now() - connection.due!)
  connection.due = null
  outstanding--
  if (/\r\nconnection: close/i.test(head)) {
    connection.socket.end()
    return
  }
  const next = waiting.shift()
  if (next === undefined) idle.push(connection)
  else sendOn(connection, next)
}

const turn = () => new Promise<void>(resolve => setImmediate(resolve))
const random = new Random(seed)
const begin = performance.now()
let due = begin
while (due < begin + seconds * 1000) {
  due += (-Math.log(1 - random.uniform()) / rate) * 1000
  while (performance.now() < due) await turn()
  send(due)
}
const end = performance.now()
while (outstanding > 0 && performance.now() < end + patience) await delay(1)

const result: OpenLoopResult = {
  sent,
  answered: Object.fromEntries([...latencies].map(([status, list]) => [status, summary(list)])),
  lost: lost + outstanding,
  behind: summary(behind),
}
process.stdout.write(JSON.stringify(result), () => process.exit(0))

function summary(values: readonly number[]): Latency {
  const sorted = Float64Array.from(values).sort()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1)! }
}
