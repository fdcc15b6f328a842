/**
 * Runs every test of the service, then holds the line coverage of src/ at 100 %. tap's own gate cannot do it: a file
 * that no test imports is missing from its report altogether, so the report is compared with the folder.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { perfAnalyzer, tritonclient } from '../test/clients/installed.ts'
import { builtAddon } from '../test/engine/native-addon.ts'
import { missing } from '../test/native/tools.ts'
import { findChromium } from '../test/page/chromium.ts'

interface Summary {
  readonly lines: { readonly total: number; readonly covered: number }
}

/** Files that the tests of this process cannot see, and why. */
const exceptions: ReadonlyMap<string, string> = new Map([
  ['src/main.ts', 'the process: tested as a child process'],
  [
    'src/serving/worker.ts',
    'the entry of a worker thread, which coverage does not see; all it calls is in worker-tasks.ts',
  ],
  [
    'src/serving/loading-thread.ts',
    'the entry of a thread, which coverage does not see; all it calls is in loading.ts',
  ],
])

const root = fileURLToPath(new URL('../', import.meta.url))
const tap = join(createRequire(import.meta.url).resolve('tap/package.json'), '../dist/esm/run.mjs')

const run = spawnSync(
  process.execPath,
  [tap, 'run', '--reporter=terse', '--coverage-report=json-summary', ...process.argv.slice(2)],
  { cwd: root, stdio: 'inherit' },
)
if (run.status !== 0) process.exit(run.status ?? 1)
if (findChromium() === undefined)
  console.log('The page was NOT tested: no Chromium on PATH, nor in CHROMIUM_PATH')
for (const [client, { skip }] of Object.entries({ tritonclient, perf_analyzer: perfAnalyzer })) {
  if (skip) console.log(`${client} was NOT tried against the server: ${skip}`)
}
if (builtAddon.skip) console.log(`The native kernels were NOT tested: ${builtAddon.skip}`)
for (const skip of new Set(Object.values(missing))) {
  if (skip) console.log(`The kernels were NOT tested as far as they might be: ${skip}`)
}
if (process.argv.length > 2) process.exit(0)

const report = JSON.parse(readFileSync(join(root, '.tap/report/coverage-summary.json'), 'utf8')) as Record<
  string,
  Summary
>
const covered = new Map(
  Object.entries(report).map(([path, summary]) => [relative(root, path), summary.lines]),
)

const gaps = sources('src')
  .filter(path => !exceptions.has(path) && hasCode(path))
  .flatMap(path => {
    const lines = covered.get(path)
    if (lines === undefined) return [`${path}: no test imports it`]
    return lines.covered < lines.total
      ? [`${path}: ${lines.total - lines.covered} lines are not covered`]
      : []
  })
if (gaps.length > 0) {
  console.error(`Line coverage of src/ is not 100 %:\n  ${gaps.join('\n  ')}`)
  process.exit(1)
}
console.log(`Line coverage of src/: 100 % (${covered.size - 1} files; ${exceptions.size} excepted by name)`)

/** The page's modules that touch the document run in a browser test; those without it are imported by tests. */
function sources(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap(entry => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return path === 'src/page' ? [] : sources(path)
    return path.endsWith('.ts') && !path.endsWith('.d.ts') ? [path] : []
  })
}

/** A file of types alone leaves nothing to run, so it never shows up in a report. */
function hasCode(path: string): boolean {
  return /^(export )?(async )?(const|let|function|class|abstract class)\b/m.test(
    readFileSync(join(root, path), 'utf8'),
  )
}
