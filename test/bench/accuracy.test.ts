import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { pino } from 'pino'
import { test } from 'tap'
import { readConfig } from '../../src/config.ts'
import { startServer } from '../../src/server.ts'
import { tinyFolder } from '../serving/tiny.ts'

const cwd = fileURLToPath(new URL('../../', import.meta.url))
/** What tsx makes of a source has other lines than what tap makes of it: coverage of both together is of neither. */
const env = { ...process.env, _TAPJS_PROCESSINFO_COVERAGE_: '0' }
const fixture = fileURLToPath(new URL('../fixtures/tiny.npz', import.meta.url))

function run(...parameters: readonly string[]) {
  const program = ['--import', 'tsx', 'bench/accuracy.ts', ...parameters]
  return promisify(execFile)(process.execPath, program, { cwd, env })
}

test('the colour images of a packed data set get the answers of the reference', async t => {
  const folder = t.testdir({ models: {}, out: {} })
  const server = await startServer(
    readConfig({ XNORD_MODELS: tinyFolder(join(folder, 'models')), XNORD_PORT: '0', XNORD_WORKERS: '1' }),
    pino({ level: 'silent' }),
  )
  t.teardown(() => server.stop())
  const out = join(folder, 'out')
  const target = ['--url', server.url, '--model', 'tiny', '--members', '1,3', '--out', out]
  const { stdout: printed } = await run('--data', fixture, ...target)
  // The fixture's labels are what member 0 says by Python's integers.
  t.match(printed, /^members 1: 100\.00 % \(11 of n = 11\)/m)
  t.match(printed, /^members 3: \d/m)
  const names = ['zero', 'one', 'two', 'café', 'four']
  const expected = [1, 2, 2, 3, 1, 1, 2, 1, 1, 2, 1].map(label => `${names[label]}\n`).join('')
  t.equal(readFileSync(join(out, 'labels-1.txt'), 'utf8'), expected)
})

test('images are named in one of two ways', async t => {
  const target = ['--model', 'tiny', '--out', t.testdir({})]
  for (const images of [[], ['--data', fixture, '--labels', fixture], ['--images', fixture]]) {
    await t.rejects(run(...images, ...target), /Either --data or both --images and --labels are needed/)
  }
})
