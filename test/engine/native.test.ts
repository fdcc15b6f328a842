import { once } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import { test } from 'tap'
import { type NativeAddon, nativeKernels } from '../../src/engine/kernels/native.ts'
import { STEP_BYTES, type Step, stepFields, stepKinds, writeStep } from '../../src/engine/kernels/step.ts'
import { builtAddon } from './native-addon.ts'

const { skip } = builtAddon

const slot = 1024

/** An arena of one page whose first step copies two lines of two pixels and puts a border around them. */
function imageArena(): WebAssembly.Memory {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
  const zeros = Object.fromEntries(stepFields.map(field => [field, 0])) as Step
  writeStep(new DataView(memory.buffer), 0, {
    ...zeros,
    kind: stepKinds.image,
    input: 0,
    inputRow: 4,
    inputLine: 2,
    output: 64 + 4 + 1,
    outputRow: 16,
    outputLine: 4,
    outputPixel: 1,
    outputBorder: 1,
    height: 2,
    width: 2,
    channels: 1,
  })
  new Uint8Array(memory.buffer).set([1, 2, 3, 4], slot)
  return memory
}

const bordered = [128, 128, 128, 128, 128, 1, 2, 128, 128, 3, 4, 128, 128, 128, 128, 128]

function image(memory: WebAssembly.Memory): readonly number[] {
  return [...new Uint8Array(memory.buffer, slot + 64, 16)]
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}

test('kernels are bound by the name of their backend to the whole of the arena', t => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
  const calls: unknown[] = []
  const addon: NativeAddon = {
    backends: ['scalar'],
    bind(backend, { buffer, byteLength }) {
      t.equal(buffer, memory.buffer)
      calls.push([backend, byteLength])
      return (...integers) => calls.push(integers)
    },
  }
  const kernels = nativeKernels(addon, 'scalar', memory)
  kernels.run(1, 2, 3, 4)
  t.equal(kernels.backend, 'scalar')
  t.same(calls, [
    ['scalar', 65_536],
    [1, 2, 3, 4],
  ])
  t.end()
})

test('every backend of this CPU runs a step on the arena', { skip }, t => {
  for (const backend of builtAddon.load().backends) {
    const memory = imageArena()
    nativeKernels(builtAddon.load(), backend, memory).run(0, 1, slot, 1)
    t.same(image(memory), bordered, backend)
  }
  t.end()
})

test('a backend that is not there cannot be bound', { skip }, t => {
  const memory = new Uint8Array(imageArena().buffer)
  for (const name of ['none', '', 'scalar\0', 'SCALAR', 'scalar'.repeat(1000)]) {
    t.throws(() => builtAddon.load().bind(name as 'scalar', memory), RangeError, JSON.stringify(name))
  }
  t.end()
})

test('a backend whose instructions this CPU lacks cannot be bound', { skip }, t => {
  const memory = new Uint8Array(imageArena().buffer)
  const { backends, bind } = builtAddon.load()
  for (const name of ['avx512', 'avx512bw', 'avx2', 'neon'] as const) {
    if (!backends.includes(name)) t.throws(() => bind(name, memory), RangeError, name)
  }
  t.end()
})

test('only whole, shared, aligned bytes can be an arena', { skip }, t => {
  const { buffer } = imageArena()
  const { bind } = builtAddon.load()
  const wrong = [
    undefined,
    null,
    7,
    {},
    buffer,
    new Uint8Array(65_536),
    new Int8Array(buffer),
    new DataView(buffer),
  ]
  for (const memory of wrong) {
    t.throws(() => bind('scalar', memory as Uint8Array<SharedArrayBuffer>), TypeError)
  }
  t.throws(() => bind('scalar', new Uint8Array(buffer, 4)), RangeError)
  t.throws(() => (bind as (...list: unknown[]) => void)(), TypeError)
  t.throws(() => (bind as (...list: unknown[]) => void)(7, new Uint8Array(buffer)), TypeError)
  t.end()
})

test('what cannot lie in the arena is refused before anything runs', { skip }, t => {
  const memory = imageArena()
  const run = builtAddon.load().bind('scalar', new Uint8Array(memory.buffer))
  const untouched = Array<number>(16).fill(0)
  const wrong = [
    [-STEP_BYTES, 1, slot, 1],
    [1, 1, slot, 1],
    [65_536 - STEP_BYTES + 4, 1, slot, 1],
    [0, 513, slot, 1],
    [0, 2 ** 32 - 1, slot, 1],
    [0, 1, 65_536, 1],
    [0, 1, -1, 1],
    [0, 1, slot, 0],
  ] as const
  for (const [step, steps, at, rows] of wrong) {
    t.throws(() => run(step, steps, at, rows), RangeError, String([step, steps, at, rows]))
  }
  for (const values of [[], [0, 1, slot], ['0', 1, slot, 1], [0, 1, slot, {}], [0, 1n, slot, 1]]) {
    t.throws(() => (run as (...list: unknown[]) => void)(...values), TypeError)
  }
  t.same(image(memory), untouched)
  run(0, 1, slot, 1)
  t.same(image(memory), bordered)
  t.end()
})

test('the arena lives as long as the kernels, and no longer', { skip }, async t => {
  let kernels: ReturnType<typeof nativeKernels> | null = null
  const arena = (() => {
    const memory = imageArena()
    kernels = nativeKernels(builtAddon.load(), 'scalar', memory)
    return new WeakRef(memory.buffer)
  })()
  const turn = () => new Promise(resolve => setTimeout(resolve, 10))
  await turn()
  collectGarbage()
  kernels!.run(0, 1, slot, 1)
  t.same([...new Uint8Array(arena.deref()!, slot + 64, 16)], bordered)
  kernels = null
  for (let tries = 0; tries < 100; tries++) {
    await turn()
    collectGarbage()
    if (arena.deref() === undefined) break
  }
  t.equal(arena.deref(), undefined)
})

test('many threads run the same step on one arena, each with an addon of its own', { skip }, async t => {
  const memory = imageArena()
  const source = `
    const { workerData, parentPort } = require('node:worker_threads')
    const { addon, memory, slot } = workerData
    const { backends, bind } = require(addon)
    for (const backend of backends) {
      const run = bind(backend, new Uint8Array(memory.buffer))
      for (let times = 0; times < 1000; times++) run(0, 1, slot, 1)
    }
    parentPort.postMessage([...new Uint8Array(memory.buffer, slot + 64, 16)])
  `
  const answers = await Promise.all(
    Array.from({ length: 16 }, async () => {
      const workerData = { addon: builtAddon.path, memory, slot }
      const worker = new Worker(source, { eval: true, workerData, execArgv: [] })
      const [answer] = await once(worker, 'message')
      await worker.terminate()
      return answer
    }),
  )
  t.same(answers, Array(16).fill(bordered))
})
