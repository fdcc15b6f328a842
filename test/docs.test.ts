import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'

const root = fileURLToPath(new URL('../', import.meta.url))

/** What tsx makes of a source has other lines than what tap makes of it: coverage of both together is of neither. */
const env = { ...process.env, _TAPJS_PROCESSINFO_COVERAGE_: '0' }

test('the generated pages of docs/ are those that the tables imply', t => {
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', 'scripts/generate-docs.ts', '--check'],
    { cwd: root, env, encoding: 'utf8' },
  )
  t.equal(status, 0, stderr)
  t.end()
})
