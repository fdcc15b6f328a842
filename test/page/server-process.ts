import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

export interface ServerProcess {
  /** Such as `http://127.0.0.1:8080`. */
  readonly url: string
  stop(): Promise<void>
}

/** The built server as users start it, on a free port, with the repository's models and these further variables. */
export async function startServerProcess(
  environment: Readonly<Record<string, string>> = {},
): Promise<ServerProcess> {
  const child = spawn(process.execPath, ['dist/main.js'], {
    cwd: root,
    env: { ...process.env, XNORD_PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const url = await listening(child)
  return {
    url,
    async stop() {
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      await exit
    },
  }
}

/** The address in the server's log; what it logged instead where it ends before it listens. */
async function listening(child: ChildProcess): Promise<string> {
  const log: string[] = []
  for await (const line of createInterface({ input: child.stdout! })) {
    log.push(line)
    const { url } = JSON.parse(line) as { readonly url?: string }
    if (url === undefined) continue
    // What follows is of no interest, but a full pipe would stop the server.
    child.stdout!.resume()
    return url
  }
  throw new Error(`the server did not start:\n${log.join('\n')}`)
}
