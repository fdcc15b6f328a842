import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { announceBackend, loadBackend, openKernels } from '../../src/serving/backend.ts'
import { builtAddon } from '../engine/native-addon.ts'
import { recordingLog } from './tiny.ts'

const wasmBytes = readFileSync(new URL('../../dist/kernels.wasm', import.meta.url))

/** A module in the addon's place, so that these tests pass on machines where none can be compiled, too. */
const addonSource = `
exports.backends = ['avx2', 'scalar']
exports.bind = (name, memory) => (...integers) => memory.set([name.length, ...integers])
`

type Files = Record<string, string | Buffer>

/** Paths of the kernels in a folder that holds these files. */
function kernelFiles(t: { testdir(files: Files): string }, files: Files) {
  const folder = t.testdir(files)
  return { addon: join(folder, 'kernels.cjs'), wasm: join(folder, 'kernels.wasm') }
}

test('the first of the native backends that the CPU has is chosen where nothing is forced', async t => {
  const files = kernelFiles(t, { 'kernels.cjs': addonSource })
  t.same(await loadBackend(undefined, files), {
    backend: { name: 'avx2', addon: files.addon },
    shortfall: null,
  })
})

test('wasm is chosen where the CPU has but the slower one of the native backends, or none', async t => {
  for (const names of [['scalar'], []]) {
    const files = kernelFiles(t, {
      'kernels.cjs': `exports.backends = ${JSON.stringify(names)}`,
      'kernels.wasm': wasmBytes,
    })
    const { backend, shortfall } = await loadBackend(undefined, files)
    t.equal(backend.name, 'wasm')
    t.equal(shortfall, null)
  }
})

test('another one that the CPU has can be forced', async t => {
  const files = kernelFiles(t, { 'kernels.cjs': addonSource })
  t.same(await loadBackend('scalar', files), {
    backend: { name: 'scalar', addon: files.addon },
    shortfall: null,
  })
})

test('wasm can be forced, and then nothing is missed', async t => {
  for (const addon of [{ 'kernels.cjs': addonSource }, {}] as Files[]) {
    const { backend, shortfall } = await loadBackend(
      'wasm',
      kernelFiles(t, { 'kernels.wasm': wasmBytes, ...addon }),
    )
    t.match(backend, { name: 'wasm', module: WebAssembly.Module })
    t.equal(shortfall, null)
  }
})

test('without an addon wasm is chosen, and what to do is told', async t => {
  const { backend, shortfall } = await loadBackend(undefined, kernelFiles(t, { 'kernels.wasm': wasmBytes }))
  t.equal(backend.name, 'wasm')
  t.equal(shortfall, 'have not been built: npm run build does it where there is a C++ compiler')
})

test('with a broken addon wasm is chosen, and what is wrong is told in one line', async t => {
  const folder = t.testdir({ 'kernels.node': 'not a library', 'kernels.wasm': wasmBytes })
  const files = { addon: join(folder, 'kernels.node'), wasm: join(folder, 'kernels.wasm') }
  const { backend, shortfall } = await loadBackend(undefined, files)
  t.equal(backend.name, 'wasm')
  t.match(shortfall, /^cannot be loaded: .*; npm run build makes them anew$/)
})

test('a forced backend that is not there is a mistake of configuration, and the others are named', async t => {
  const files = kernelFiles(t, { 'kernels.cjs': addonSource, 'kernels.wasm': wasmBytes })
  for (const name of ['avx512', 'neon', 'AVX2', '', 'none']) {
    await t.rejects(
      loadBackend(name, files),
      {
        code: 'CONFIGURATION_INVALID',
        message: `XNORD_BACKEND is ${JSON.stringify(name)}; there is: avx2, wasm, scalar.`,
      },
      name,
    )
  }
})

test('a native backend that is forced without an addon is a mistake of configuration', async t => {
  await t.rejects(loadBackend('scalar', kernelFiles(t, { 'kernels.wasm': wasmBytes })), {
    code: 'CONFIGURATION_INVALID',
    message: /^XNORD_BACKEND is "scalar"; there is: wasm. The native ones have not been built: npm run build/,
  })
})

test('wasm kernels that were not built, or not whole, are told with what to do', async t => {
  for (const wasm of [{}, { 'kernels.wasm': 'not wasm' }] as Files[]) {
    await t.rejects(loadBackend(undefined, kernelFiles(t, wasm)), {
      code: 'INTERNAL',
      message: /npm run build/,
    })
  }
})

test('native kernels run on the memory that they were opened on', async t => {
  const { backend } = await loadBackend('scalar', kernelFiles(t, { 'kernels.cjs': addonSource }))
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
  const kernels = openKernels(backend, memory)
  t.equal(kernels.backend, 'scalar')
  kernels.run(1, 2, 3, 4)
  t.same([...new Uint8Array(memory.buffer, 0, 5)], ['scalar'.length, 1, 2, 3, 4])
})

test('the log names the backend', t => {
  const { log, lines } = recordingLog()
  announceBackend({ backend: { name: 'avx2', addon: 'kernels.node' }, shortfall: null }, 3, log)
  t.same(lines, [
    { level: 'info', message: 'computing with the avx2 kernels', details: { backend: 'avx2', workers: 3 } },
  ])
  t.end()
})

test('the log says in one line, as a warning, why wasm runs and what would be faster', async t => {
  const { log, lines } = recordingLog()
  const { shortfall } = await loadBackend(undefined, kernelFiles(t, { 'kernels.wasm': wasmBytes }))
  const module = new WebAssembly.Module(new Uint8Array(wasmBytes))
  announceBackend({ backend: { name: 'wasm', module, variant: 'simd' }, shortfall }, 3, log)
  t.same(lines, [
    {
      level: 'warn',
      message:
        'computing with the wasm kernels; the native ones, which are faster, have not been built: npm run build does it where there is a C++ compiler',
      details: { backend: 'wasm', variant: 'simd', workers: 3 },
    },
  ])
})

/** What /proc/cpuinfo must list for a backend to be there: the same features in the words of Linux. */
const cpuFlags: Readonly<Record<string, readonly string[]>> = {
  avx512: [
    'avx512f',
    'avx512bw',
    'avx512dq',
    'avx512vl',
    'avx512_vnni',
    'avx512_vpopcntdq',
    'bmi2',
    'popcnt',
  ],
  avx512bw: ['avx512f', 'avx512bw', 'avx512dq', 'avx512vl', 'bmi2', 'popcnt'],
  avx2: ['avx2', 'bmi2', 'popcnt'],
}

test('the built addon has the backends that Linux says this CPU has, fastest first', {
  skip: builtAddon.skip || ((process.platform !== 'linux' || process.arch !== 'x64') && 'not Linux on x64'),
}, t => {
  const flags = new Set(/^flags\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))![1]!.split(' '))
  const expected = ['avx512', 'avx512bw', 'avx2'].filter(name =>
    cpuFlags[name]!.every(flag => flags.has(flag)),
  )
  t.same(builtAddon.load().backends, [...expected, 'scalar'])
  t.end()
})
