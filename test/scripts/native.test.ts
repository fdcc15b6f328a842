import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { compileNative, findCompiler, kernelSources, strictFlags } from '../../scripts/native.ts'

const skip = findCompiler() === null && 'there is no C++ compiler'
const native = fileURLToPath(new URL('../../native/', import.meta.url))

test('a program is compiled, and runs', { skip }, async t => {
  const folder = t.testdir({
    'main.cpp': '#include "other.h"\nint main() { return other(); }',
    'other.h': 'int other();',
    'other.cpp': 'int other() { return ANSWER; }',
  })
  const output = join(folder, 'program')
  const sources = ['main.cpp', 'other.cpp'].map(name => join(folder, name))
  await compileNative({ kind: 'program', sources, output, extraFlags: ['-DANSWER=7'] })
  t.equal(spawnSync(output).status, 7)
})

test('what a compiler refuses is told in its words, and leaves the former result', { skip }, async t => {
  const folder = t.testdir({ 'main.cpp': 'int main() { return absent; }', program: 'the former' })
  const output = join(folder, 'program')
  await t.rejects(compileNative({ kind: 'program', sources: [join(folder, 'main.cpp')], output }), {
    message: /main\.cpp.*absent/,
  })
  t.equal(readFileSync(output, 'utf8'), 'the former')
  t.same(readdirSync(folder).sort(), ['main.cpp', 'program'])
})

test('what a linker refuses is told in its words, and leaves nothing', { skip }, async t => {
  const folder = t.testdir({ 'main.cpp': 'int absent();\nint main() { return absent(); }' })
  const output = join(folder, 'program')
  await t.rejects(compileNative({ kind: 'program', sources: [join(folder, 'main.cpp')], output }), {
    message: /absent/,
  })
  t.notOk(existsSync(output))
})

test('a compiler that is not there is named', async t => {
  const build = { kind: 'program', sources: ['main.cpp'], output: 'program', compiler: 'absent-c++' } as const
  await t.rejects(compileNative(build), { message: /absent-c\+\+/ })
})

test('CXX is the only compiler where it is set, its parameters included', t => {
  const before = process.env.CXX
  t.teardown(() => {
    if (before === undefined) delete process.env.CXX
    else process.env.CXX = before
  })
  process.env.CXX = 'absent-c++'
  t.equal(findCompiler(), null)
  process.env.CXX = `${process.execPath} --no-warnings`
  t.equal(findCompiler(), `${process.execPath} --no-warnings`)
  t.end()
})

test('a compiler may be a command with parameters', { skip }, async t => {
  const folder = t.testdir({ 'main.cpp': 'int main() { return ANSWER; }' })
  const output = join(folder, 'program')
  const compiler = ` env  LC_ALL=C ${findCompiler()} -DANSWER=7`
  await compileNative({ kind: 'program', sources: [join(folder, 'main.cpp')], output, compiler })
  t.equal(spawnSync(output).status, 7)
})

test('every architecture has a portable backend and the file that chooses', t => {
  for (const architecture of ['x64', 'arm64']) {
    const sources = kernelSources(architecture)
    t.ok(['backends.cpp', 'scalar.cpp'].every(name => sources.includes(join(native, name))))
  }
  t.same(kernelSources('s390x'), [])
  t.end()
})

test('the addon is compiled without a warning, and exports nothing but what Node asks for', {
  skip,
}, async t => {
  const output = join(t.testdir({}), 'kernels.node')
  const sources = [join(native, 'addon.cpp'), ...kernelSources()]
  await compileNative({ kind: 'addon', sources, output, extraFlags: strictFlags })
  t.match(createRequire(import.meta.url)(output), { backends: /^./, bind: Function })
})
