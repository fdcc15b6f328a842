import { execFile, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { test } from 'tap'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** What tsx makes of a source has other lines than what tap makes of it: coverage of both together is of neither. */
const env = { ...process.env, _TAPJS_PROCESSINFO_COVERAGE_: '0' }

test('the benchmark writes a page with every section, and a plot', async t => {
  const folder = t.testdir()
  const program = ['--import', 'tsx', 'bench/kernels.ts', '--rounds', '2', '--networks', 'LeNet']
  await promisify(execFile)(process.execPath, [...program, '--out', folder], { cwd: root, env })
  const page = readFileSync(join(folder, 'benchmarks.md'), 'utf8')
  t.same(
    [...page.matchAll(/^### (.*)$/gm)].map(([, title]) => title),
    [
      'Against ONNX Runtime',
      'Ternary weights',
      'The bound',
      'Layers of LeNet',
      ...(page.includes('| LeNet | 1 | avx512 |') ? ['Past the port limit'] : []),
      'Memory',
      'The price of a call',
      'The shipped model',
    ],
  )
  t.match(page, /^\| LeNet \| 1 \| wasm \| [\d.]+×/m)
  t.notMatch(page, /NaN|undefined|Infinity|\[object/)
  t.match(page, /^A call of ONNX Runtime, .*\n[\d.]+ \([\d.]+–[\d.]+\) µs/m)
  const svg = readFileSync(join(folder, 'benchmarks.svg'), 'utf8')
  t.match(svg, /<text[^>]*>wasm<\/text>/)
  t.match(svg, 'one thread, median of 2 rounds<')
})

test('a network that there is not is named', t => {
  const program = ['--import', 'tsx', 'bench/kernels.ts', '--networks', 'LeNet,AlexNet']
  const { status, stderr } = spawnSync(process.execPath, program, { cwd: root, env, encoding: 'utf8' })
  t.equal(status, 1)
  t.match(stderr, /there is no AlexNet/)
  t.end()
})
