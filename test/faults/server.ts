/** The built server as a real process, on a free port, with its log at hand. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
const saboteur = new URL('saboteur.mjs', import.meta.url).href
export const models = fileURLToPath(new URL('../../models', import.meta.url))

/** Why these tests cannot run here; false where they can. */
export const skip = !existsSync(main) && 'not built: npm test builds first'

export interface RunningServer {
  readonly url: string
  readonly child: ChildProcess
  /** What it has logged until now, a line each. */
  readonly log: readonly Readonly<Record<string, unknown>>[]
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>
  /** Ends it by SIGTERM where it has not ended yet. */
  stop(): Promise<number | string>
}

/** @param environment settings, beside which there are no others */
export async function startServer(environment: Readonly<Record<string, string>>): Promise<RunningServer> {
  const child = spawn(process.execPath, ['--import', saboteur, main], {
    env: { XNORD_PORT: '0', XNORD_MODELS: models, XNORD_LOG_LEVEL: 'info', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const log: Record<string, unknown>[] = []
  const ended = once(child, 'close').then(([code, signal]): number | string => code ?? signal)
  const listens = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', text => {
      const line = JSON.parse(text) as Record<string, unknown>
      log.push(line)
      if (typeof line.url === 'string') resolve(line.url)
    })
    ended.then(code => reject(new Error(`it ended with ${code}: ${JSON.stringify(log)}`)), reject)
  })
  const url = await listens
  return {
    url,
    child,
    log,
    ended,
    async stop() {
      child.kill('SIGTERM')
      return ended
    },
  }
}

/** The sum of a family of metrics over all its labels that match. */
export async function metric(url: string, pattern: RegExp): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return text
    .split('\n')
    .filter(line => pattern.test(line))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}
