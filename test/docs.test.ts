import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'

const root = fileURLToPath(new URL('../', import.meta.url))

test('the generated pages of docs/ are those that the tables imply', t => {
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', 'scripts/generate-docs.ts', '--check'],
    { cwd: root, encoding: 'utf8' },
  )
  t.equal(status, 0, stderr)
  t.end()
})
