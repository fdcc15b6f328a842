/**
 * Open-loop load: requests begin when a Poisson process says so, whether or not the ones before have been answered, and
 * their latency counts from then. A closed loop, which waits, hides how long a server lets others wait. The generator is
 * open-loop.cpp: one in JavaScript would be as busy as the server.
 */

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openProgram } from '../program.ts'
import type { Request } from './requests.ts'

export interface Arrivals {
  /** The core that the generator may use. */
  readonly core: number
  /** That are open from the beginning, and kept: what is due while all of them wait for an answer waits. */
  readonly connections: number
  /** Requests a second, on average. */
  readonly rate: number
  /** Of load at the same rate before those that count: the server compiles what it runs, and its heap finds its size. */
  readonly warmUpSeconds: number
  readonly seconds: number
  /** Of the sequence of arrivals. */
  readonly seed: number
}

/** Milliseconds, from when a request was due; of the warm-up they are counted, and not timed. */
export interface Latency {
  readonly count: number
  /** These are null where all of them were due in the warm-up. */
  readonly p50: number | null
  readonly p99: number | null
  readonly max: number | null
}

export interface OpenLoopResult {
  readonly sent: number
  /** By status. Sent and not in here: cut off, or not answered within 30 seconds of the last request. */
  readonly answered: Readonly<Record<string, Latency>>
  readonly lost: number
  /** How long after its time a request left: for want of a connection, or by the generator's own delay. */
  readonly behind: Latency
}

export interface OpenLoop {
  /** @param url of a server on this machine, at 127.0.0.1 */
  arriveAtRandom(url: string, request: Request, arrivals: Arrivals): Promise<OpenLoopResult>
  /** Removes the program. */
  close(): void
}

/** @returns null where there is no C++ compiler */
export async function openOpenLoop(): Promise<OpenLoop | null> {
  const program = await openProgram('http/open-loop')
  if (program === null) return null
  return {
    close: program.close,
    async arriveAtRandom(url, request, { core, connections, rate, warmUpSeconds, seconds, seed }) {
      const folder = mkdtempSync(join(tmpdir(), 'xnord-arrivals-'))
      try {
        const { host, port } = new URL(url)
        const files = messagesOf(request, host).map((message, index) => {
          const file = join(folder, String(index))
          writeFileSync(file, message)
          return file
        })
        const numbers = [port, connections, rate, warmUpSeconds, seconds, seed]
        const parameters = ['-c', String(core), program.file, ...numbers.map(String), ...files]
        const { stdout } = await promisify(execFile)('taskset', parameters)
        return JSON.parse(stdout) as OpenLoopResult
      } finally {
        rmSync(folder, { recursive: true })
      }
    },
  }
}

/** Each as it is sent, with its head. */
function messagesOf({ path, headers, bodies }: Request, host: string): readonly Buffer[] {
  return bodies.map(body => {
    const fields = Object.entries({ host, 'content-length': body.length, ...headers })
    const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${head}\r\n`), body])
  })
}
