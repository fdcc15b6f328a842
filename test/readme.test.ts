import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { pino } from 'pino'
import { test } from 'tap'
import { readConfig } from '../src/config.ts'
import { backends } from '../src/engine/kernels/kernels.ts'
import { startServer } from '../src/server.ts'

const address = 'localhost:8080'

/** The commands of README's console blocks, each with the answer that README prints below it. */
function examples(): readonly { readonly command: string; readonly answer: string }[] {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  return [...readme.matchAll(/^```console\n([\s\S]*?)^```$/gm)].flatMap(([, block]) =>
    [...block.matchAll(/^\$ (.*)\n((?:(?!\$ ).*\n)*)/gm)].map(([, command, answer]) => ({ command, answer })),
  )
}

test('every request in README gets the answer that is printed there', async t => {
  const server = await startServer(
    readConfig({ XNORD_PORT: '0', XNORD_WORKERS: '1' }),
    pino({ level: 'silent' }),
  )
  t.teardown(() => server.stop())
  const requests = examples().filter(({ command }) => command.startsWith('curl '))
  t.ok(requests.length > 0)
  for (const { command, answer } of requests) {
    t.ok(command.includes(address), command)
    const here = command.replace(address, new URL(server.url).host).replace(/^curl /, 'curl --silent ')
    const { stdout } = await promisify(execFile)('sh', ['-c', here])
    // The backend is the only thing that depends on the machine: there it is that of README's author.
    const { backend, ...given } = JSON.parse(stdout)
    const { backend: printed, ...expected } = JSON.parse(answer)
    t.same(given, expected, command)
    t.ok(backends.includes(backend) && backends.includes(printed), command)
  }
})
