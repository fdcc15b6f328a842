/**
 * Open-loop load: requests begin when a Poisson process says so, whether or not the ones before have been answered, and
 * their latency counts from then. A closed loop, which waits, hides how long a server lets others wait.
 */

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
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
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export interface OpenLoopResult {
  readonly sent: number
  /** By status. Sent and not in here: cut off, or not answered within 30 seconds of the last request. */
  readonly answered: Readonly<Record<string, Latency>>
  readonly lost: number
  /** How long after its time a request left: for want of a connection, or by the generator's own delay. */
  readonly behind: Latency
}

/** What the generator's process is told. */
export interface OpenLoopTask {
  readonly url: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly bodyFiles: readonly string[]
  readonly connections: number
  readonly rate: number
  readonly warmUpSeconds: number
  readonly seconds: number
  readonly seed: number
}

const generator = fileURLToPath(new URL('open-loop-process.ts', import.meta.url))

export async function arriveAtRandom(
  url: string,
  { path, headers, bodies }: Request,
  { core, ...arrivals }: Arrivals,
): Promise<OpenLoopResult> {
  const folder = mkdtempSync(join(tmpdir(), 'xnord-open-loop-'))
  try {
    const bodyFiles = bodies.map((body, index) => {
      const file = join(folder, String(index))
      writeFileSync(file, body)
      return file
    })
    const task: OpenLoopTask = { url, path, headers, bodyFiles, ...arrivals }
    const { stdout } = await promisify(execFile)('taskset', [
      '-c',
      String(core),
      process.execPath,
      '--import',
      'tsx',
      generator,
      JSON.stringify(task),
    ])
    return JSON.parse(stdout) as OpenLoopResult
  } finally {
    rmSync(folder, { recursive: true })
  }
}
