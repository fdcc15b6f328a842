import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'

const root = fileURLToPath(new URL('../../', import.meta.url))

const sources = ['assembly', 'native', 'scripts', 'src', 'package-lock.json', 'package.json', 'tsconfig.json']

/** A copy of what was built here, times included, so that little is built anew: the page, and an addon of former days. */
function checkout(folder: string): string {
  execFileSync('cp', ['-a', ...sources, 'dist', folder], { cwd: root })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  rmSync(join(folder, 'dist/page'), { recursive: true })
  writeFileSync(join(folder, 'dist/kernels.node'), 'of other sources')
  return folder
}

test('without a C++ compiler everything else is built, one line says so, and no old addon is left', t => {
  const folder = checkout(t.testdir({}))
  const build = (...parameters: readonly string[]) =>
    spawnSync(process.execPath, ['--import', 'tsx', 'scripts/build.ts', ...parameters], {
      cwd: folder,
      encoding: 'utf8',
      env: { PATH: process.env.PATH, CXX: 'absent-c++' },
    })
  const first = build()
  t.equal(first.status, 0)
  t.equal(
    first.stderr,
    'Built without native kernels, so that the slower ones in WebAssembly will run: CXX is "absent-c++", which does not run\n',
  )
  t.ok(['kernels.wasm', 'main.js', 'page/index.html'].every(name => existsSync(join(folder, 'dist', name))))
  t.notOk(existsSync(join(folder, 'dist/kernels.node')))

  t.equal(build('--require-native').status, 1)
  t.end()
})
