import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { pino } from 'pino'
import { test } from 'tap'
import { readConfig } from '../../src/config.ts'
import { startServer } from '../../src/server.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const built = existsSync(join(root, 'dist/client/client.js'))
const page = readFileSync(join(root, 'docs/client.md'), 'utf8')
const programs = [...page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, program]) => program!)

test('every program in docs/client.md compiles, and prints what stands beside it', {
  skip: !built && 'the client is not built',
}, async t => {
  const server = await startServer(
    { ...readConfig({}), port: 0, workers: 1, logLevel: 'silent' },
    pino({ level: 'silent' }),
  )
  t.teardown(() => server.stop())
  t.ok(programs.length > 2)
  const folder = t.testdir({
    'tsconfig.json': JSON.stringify({
      extends: join(root, 'tsconfig.json'),
      compilerOptions: { rootDir: root },
      include: ['*.ts'],
    }),
    ...Object.fromEntries(
      programs.map((program, index) => [
        `${index}.ts`,
        program.replaceAll('http://localhost:8080', server.url),
      ]),
    ),
  })
  const run = (parameters: readonly string[]) =>
    promisify(execFile)(process.execPath, parameters, { cwd: root })
  await run(['node_modules/typescript/bin/tsc', '-p', folder])
  for (const [index, program] of programs.entries()) {
    const { stdout } = await run(['--import', 'tsx', join(folder, `${index}.ts`)])
    const promised = [...program.matchAll(/^ *console\.log\(.*\) \/\/ (.*)$/gm)].map(([, line]) => line)
    t.same(stdout.trim().split('\n'), promised)
  }
})
