/** Servers as processes of their own, each on a core of its own. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export interface Launch {
  /** The one core that the process and its children may use. */
  readonly core: number
  readonly command: readonly string[]
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly port: number
  /** Answers 2xx when the server can be asked. */
  readonly readyPath: string
}

export interface ServerProcess {
  readonly url: string
  /** From the start of the process to its first answer that it is ready. */
  readonly startMilliseconds: number
  /** That the process and its children have used since they were started. */
  cpuSeconds(): number
  /** Of memory that is resident, of the process and its children. */
  residentBytes(): number
  /** Ends it, and waits for that. */
  stop(): Promise<void>
}

const startLimit = 120_000
const stopLimit = 10_000
const pollInterval = 10
/** Of /proc: USER_HZ, which Linux has fixed at 100 for programs. */
const ticksPerSecond = 100
const pageBytes = 4096

/** @throws Error where the process ends or is not ready in time, with what it printed */
export async function startServer(launch: Launch): Promise<ServerProcess> {
  const { core, command, cwd, env, port, readyPath } = launch
  const url = `http://127.0.0.1:${port}`
  if (await isTaken(port)) throw new Error(`port ${port} is in use`)
  const begin = performance.now()
  // A group of its own, so that whatever it starts ends with it.
  const child = spawn('taskset', ['-c', String(core), ...command], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const printed: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      printed.push(chunk)
      if (printed.length > 200) printed.shift()
    })
  }
  const end = () => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL')
  }
  process.on('exit', end)
  while (!(await isReady(url + readyPath))) {
    if (child.exitCode !== null || performance.now() - begin > startLimit) {
      end()
      throw new Error(`${command.join(' ')} did not start:\n${Buffer.concat(printed)}`)
    }
    await delay(pollInterval)
  }
  const startMilliseconds = performance.now() - begin
  return {
    url,
    startMilliseconds,
    cpuSeconds: () => sum(familyOf(child.pid!), cpuSecondsOf),
    residentBytes: () => sum(familyOf(child.pid!), residentBytesOf),
    async stop() {
      process.off('exit', end)
      const family = familyOf(child.pid!)
      const exit = once(child, 'exit')
      process.kill(-child.pid!, 'SIGTERM')
      const timer = setTimeout(end, stopLimit)
      if (child.exitCode === null && child.signalCode === null) await exit
      clearTimeout(timer)
      // Some leave workers behind, in groups of their own.
      for (const pid of family) killIfThere(pid)
      while (await isTaken(port)) await delay(pollInterval)
    },
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(url)
    await response.arrayBuffer()
    return response.ok
  } catch {
    // Nobody listens yet.
    return false
  }
}

async function isTaken(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ESRCH') throw thrown
  }
}

/** A process and all that descend from it. */
function familyOf(pid: number): readonly number[] {
  try {
    // Each thread has children of its own.
    const children = readdirSync(`/proc/${pid}/task`).flatMap(thread =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean),
    )
    return [pid, ...children.flatMap(child => familyOf(Number(child)))]
  } catch {
    // It ended meanwhile.
    return []
  }
}

function sum(pids: readonly number[], of: (pid: number) => number): number {
  return pids.reduce((total, pid) => total + of(pid), 0)
}

/** proc(5): the fields after the name in brackets, of which utime is the 12th and stime the 13th. */
function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

function residentBytesOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * pageBytes
}
