/** What a linker sees of the kernels: of an inline function that two files share it could keep the wrong CPU's copy. */

import { spawnSync } from 'node:child_process'
import { basename, join } from 'node:path'
import { test } from 'tap'
import { compileNative, kernelSources } from '../../scripts/native.ts'
import { missing, missingProgram } from './tools.ts'

const kernels = kernelSources().filter(source => basename(source) !== 'backends.cpp')

test('each file of kernels defines one function that a linker sees', {
  skip: missing.compiler || missingProgram('nm'),
}, async t => {
  const folder = t.testdir({})
  for (const source of kernels) {
    const name = basename(source, '.cpp')
    const output = join(folder, `${name}.o`)
    // Unoptimized, so that what only happens to be inlined is seen, too; linked so that it can be linked further.
    const extraFlags = ['-O0', '-r', '-nostdlib']
    await compileNative({ kind: 'program', sources: [source], output, extraFlags })
    const run = `run${name[0].toUpperCase()}${name.slice(1)}`
    // xnord::run…(unsigned char*, unsigned, unsigned, unsigned, unsigned); macOS puts a further _ before it.
    t.match(definedSymbols(output).join(), new RegExp(`^_?_ZN5xnord${run.length}${run}EPhjjjj$`))
  }
})

/** Global and weak ones. */
function definedSymbols(file: string): readonly string[] {
  // The format of POSIX: name, type, and for what is defined a value.
  const { status, stdout, stderr } = spawnSync('nm', ['-g', '-P', file], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  const symbols = stdout.split('\n').map(line => line.split(' '))
  return symbols.filter(([name, type]) => name !== '' && !'Uwv'.includes(type)).map(([name]) => name)
}
