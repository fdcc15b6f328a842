/**
 * Runs native/self-test: natively, under sanitizers, and under emulators of CPUs that lack what the fastest here have.
 *
 * No emulator of Debian 12 has AVX-512, so a CPU with AVX-512 but without VPOPCNTDQ cannot be shown; such a CPU's
 * backend, avx512bw, runs natively wherever AVX-512 is there.
 */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { ModelContent } from '../../src/engine/format.ts'
import { randomModel, tiledModel, wideModel } from '../random-graph.ts'
import { conv2d, fillUnchecked, linear, Random } from '../random-model.ts'
import { type Case, encodeCases } from './case-file.ts'
import { casesOf } from './cases.ts'
import { extremeModel } from './extreme-model.ts'
import { buildSelfTest, crossCompiler, missing, runSelfTest, sanitizers } from './tools.ts'

const MODELS = 500
/** Of so many cases an emulator runs one: it takes ten times as long. */
const EVERY = 10

const folder = mkdtempSync(join(tmpdir(), 'xnord-self-test-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const program = join(folder, 'self-test')
const sanitized = join(folder, 'self-test-sanitized')
const caseFile = join(folder, 'cases')
const faultFile = join(folder, 'fault-cases')
let count = 0

t.before(async () => {
  const built = missing.compiler ? null : buildSelfTest(program)
  const cases = [...Array.from({ length: MODELS }, (_, seed) => randomCases(seed)).flat(), ...meanCases()]
  count = cases.length
  writeFileSync(caseFile, encodeCases(cases))
  writeFileSync(faultFile, encodeCases(faultCases()))
  await built
})

function randomCases(seed: number): readonly Case[] {
  if (seed % 8 === 1) return extremeCases(seed)
  const random = new Random(seed)
  // The reference takes long for a tiled model.
  const [kind, draw, rows] =
    seed % 32 === 0
      ? (['tiled', tiledModel, 1] as const)
      : random.choice([
          ['random', randomModel, random.integer(1, 9)],
          ['random', randomModel, random.integer(1, 9)],
          ['wide', wideModel, random.integer(1, 4)],
        ] as const)
  const model = draw(seed)
  return casesOf(`${kind} model ${seed}`, model, random.bytes(rows * rowBytes(model)), random)
}

function extremeCases(seed: number): readonly Case[] {
  const random = new Random(seed)
  const model = extremeModel(random)
  const pixels = new Uint8Array(rowBytes(model)).fill(random.choice([0, 255]))
  return casesOf(`extreme model ${seed}`, model, pixels, random)
}

/** Means over as many floats as divide exactly, and as do not: 9 and 25 have no reciprocal in float32. */
function meanCases(): readonly Case[] {
  return [2, 3, 5].flatMap(size =>
    [7, 16, 40].flatMap(out => {
      const random = new Random(100 * size + out)
      const sketch = {
        input: { height: 2 * size, width: 3 * size, channels: 1, resize: 'stretch' },
        operations: [
          conv2d({ name: 'floats', input: 'image', out, kernel: 3, padding: 1, output: 'floats' }),
          { op: 'average_pool', name: 'means', input: 'floats', size },
          linear({ name: 'logits', input: 'means', out: 3, output: 'floats' }),
        ],
        members: 1,
      } as const
      const model = fillUnchecked(sketch, random)
      return casesOf(`means over ${size} × ${size}`, model, random.bytes(3 * rowBytes(model)), random)
    }),
  )
}

function rowBytes({ input: { height, width, channels } }: ModelContent): number {
  return height * width * channels
}

/** A step that reads words of which it may use two bytes, and writes a border; then all steps in one call. */
function faultCases(): readonly Case[] {
  const sketch = {
    input: { height: 1, width: 1, channels: 1, resize: 'stretch' },
    operations: [
      conv2d({ name: 'first', input: 'image', out: 9 }),
      conv2d({ name: 'second', input: 'first', out: 9 }),
      conv2d({ name: 'third', input: 'second', out: 9, kernel: 3, padding: 1 }),
      linear({ name: 'logits', input: 'third', out: 2, output: 'floats' }),
    ],
    members: 1,
  } as const
  const random = new Random(1)
  const cases = casesOf('faults', fillUnchecked(sketch, random), random.bytes(3), random)
  return [cases[1], cases[4]]
}

function passes(backends: readonly string[], cases: number): string {
  return backends.map(name => `${name}: ${cases} cases pass\n`).join('')
}

async function listed(...command: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await runSelfTest(command, '--list')
  return stdout.split('\n').slice(0, -1)
}

const noFlags =
  process.arch !== 'x64' || !existsSync('/proc/cpuinfo') ? 'only Linux on x86 names its flags' : false

t.test('a CPU has the backends whose instructions it has', { skip: missing.compiler || noFlags }, async t => {
  const flags = new Set(/^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))![1].trim().split(' '))
  const has = (...names: string[]) => names.every(name => flags.has(name))
  const scalar = has('popcnt')
  const avx2 = scalar && has('avx2', 'bmi2')
  const avx512bw = avx2 && has('avx512f', 'avx512bw', 'avx512dq', 'avx512vl')
  const avx512 = avx512bw && has('avx512_vnni', 'avx512_vpopcntdq')
  const expected = [avx512 && 'avx512', avx512bw && 'avx512bw', avx2 && 'avx2', scalar && 'scalar']
  t.same(
    await listed(program),
    expected.filter(name => name),
  )
})

t.test(
  'every backend gives the bits of the reference and stays within its buffers',
  { skip: missing.compiler },
  async t => {
    const { status, stdout } = await runSelfTest([program], caseFile)
    t.equal(stdout, passes(await listed(program), count))
    t.equal(status, 0)
  },
)

t.test('every backend does so under sanitizers', { skip: missing.sanitizers }, async t => {
  await buildSelfTest(sanitized, { flags: sanitizers })
  const { status, stdout, stderr } = await runSelfTest([sanitized], caseFile)
  t.equal(stdout, passes(await listed(program), count), stderr)
  t.equal(status, 0)
  for (const [backend, words] of [
    ['overflows', 'signed integer overflow'],
    ['reads-stack', 'stack-buffer-overflow'],
  ]) {
    const { status, stdout, stderr } = await runSelfTest([sanitized], '--backend', backend, faultFile)
    t.not(status, 0)
    t.match(stdout, `${backend}: FAIL in faults, step 1`)
    t.match(stderr, words)
  }
})

/** Each lacks one thing that the backends it does not list would need. */
for (const [cpu, backends] of [
  ['Haswell', ['avx2', 'scalar']],
  ['Haswell,-avx2', ['scalar']],
  ['Haswell,-bmi2', ['scalar']],
  ['Nehalem', ['scalar']],
  ['Haswell,-popcnt', []],
] as const) {
  const words = backends.join(' and ') || 'no backend'
  t.test(`under emulation, the CPU ${cpu} runs ${words}`, { skip: missing.emulator }, async t => {
    const command = ['qemu-x86_64', '-cpu', cpu, program]
    t.same(await listed(...command), backends)
    const { status, stdout } = await runSelfTest(command, '--every', `${EVERY}`, caseFile)
    t.equal(stdout, passes(backends, Math.ceil(count / EVERY)))
    t.equal(status, backends.length > 0 ? 0 : 2)
    const others = ['avx512', 'avx512bw', 'avx2', 'scalar'].slice(0, 4 - backends.length)
    for (const backend of others) {
      const { status, stderr } = await runSelfTest(command, '--backend', backend, caseFile)
      // The emulator may have said before what else it lacks.
      t.equal(stderr.split('\n').at(-2), `self-test: this CPU cannot run ${backend}`)
      t.equal(status, 2)
    }
  })
}

t.test(
  'NEON gives the bits of the reference and stays within its buffers',
  { skip: missing.neon },
  async t => {
    const compiled = join(folder, 'self-test-arm64')
    await buildSelfTest(compiled, { compiler: crossCompiler, architecture: 'arm64' })
    const command = ['qemu-aarch64', '-L', '/usr/aarch64-linux-gnu', compiled]
    const { status, stdout } = await runSelfTest(command, '--every', `${EVERY}`, caseFile)
    t.equal(stdout, passes(['neon', 'scalar'], Math.ceil(count / EVERY)))
    t.equal(status, 0)
  },
)

t.test('a backend that does one thing wrong is found out', { skip: missing.compiler }, async t => {
  for (const [backend, found] of [
    ['flips-bit', 'byte 53 of output is 0x'],
    ['reads-behind', 'at the end of pages: touches 1 byte behind input'],
    ['reads-before', 'at the start of pages: touches 1 byte before input'],
    ['reads-weights-behind', 'at the end of pages: touches 1 byte behind weights'],
    ['writes-behind', 'at the end of pages: touches 1 byte behind output'],
    ['writes-before', 'at the end of pages: 1 byte before output is 0x00 instead of 0x'],
    ['writes-input', 'touches byte 0 of input'],
    ['uses-foreign-bits', 'byte 8 of output is 0x'],
    ['keeps-border', 'byte 0 of output is 0x'],
    ['skips-last-row', 'byte 36 of output is 0x'],
    ['skips-last-step', 'all 4 steps, 3 rows, at the end of pages: byte 64 of slot is 0x'],
    ['stops', 'stopped by signal'],
  ]) {
    const { status, stdout } = await runSelfTest([program], '--backend', backend, faultFile)
    t.match(stdout, `${backend}: FAIL after`)
    t.match(stdout, found)
    t.equal(status, 1)
  }
})

t.test('nothing passes for want of cases', { skip: missing.compiler }, async t => {
  const empty = join(folder, 'empty')
  const cut = join(folder, 'cut')
  writeFileSync(empty, encodeCases([]))
  writeFileSync(cut, readFileSync(faultFile).subarray(0, -1))
  for (const [parameters, message] of [
    [[], 'there are no cases without a file'],
    [[empty], `${empty} holds no cases`],
    [[cut], 'the case file is cut short'],
    [[join(folder, 'none')], `${join(folder, 'none')} cannot be read`],
    [['--backend', 'lacks-instructions', faultFile], 'this CPU cannot run lacks-instructions'],
    [['--backend', 'none', faultFile], 'there is no backend none for this architecture'],
  ] as const) {
    const { status, stdout, stderr } = await runSelfTest([program], ...parameters)
    t.equal(stderr, `self-test: ${message}\n`)
    t.equal(stdout, '')
    t.equal(status, 2)
  }
})
