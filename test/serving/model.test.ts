import { join } from 'node:path'
import { test } from 'tap'
import { loadModel } from '../../src/serving/model.ts'
import { baselineFile, loadTiny, recordingLog, tinyFile, tinyWith, write } from './tiny.ts'

function load(folder: string, name = 'tiny') {
  const { log, lines } = recordingLog()
  const path = join(folder, name, '1')
  return { loading: loadModel({ name, version: 1, path }, 'wasm', 2, log), lines }
}

test('a version is described as its file says', async t => {
  const { served } = await loadTiny(t.testdir({}), 2)
  t.match(served, {
    name: 'tiny',
    version: 1,
    digest: /^[0-9a-f]{64}$/,
    backend: 'wasm',
    input: { height: 13, width: 11, channels: 3, resize: 'contain' },
    labels: ['zero', 'one', 'two', 'café', 'four'],
    members: 3,
    defaultMembers: 2,
    hasBaseline: true,
    bytes: { baseline: baselineFile.length },
  })
  t.ok(served.maxRows >= 1)
  t.ok(served.wordOperations >= 1)
})

test('all that a worker gets and is large lies in shared memory', async t => {
  const { spec } = await loadTiny(t.testdir({}), 2)
  const buffers = [
    spec.memory.buffer,
    spec.check.image.buffer,
    spec.check.digest.buffer,
    spec.check.logits.buffer,
    spec.baseline,
  ]
  for (const buffer of buffers) t.type(buffer, SharedArrayBuffer)
  t.equal(structuredClone(spec.plan).arenaBytes <= spec.memory.buffer.byteLength, true)
})

test('the arena has a slot for each batch at a time', async t => {
  t.equal((await loadTiny(t.testdir({}), 3)).spec.plan.slots, 3)
})

test('every loaded version has an identity of its own', async t => {
  const first = await loadTiny(t.testdir({}), 1)
  const second = await loadTiny(t.testdir({}), 1)
  t.not(first.spec.id, second.spec.id)
})

test('a model in the folder of another name is refused', async t => {
  const folder = write(t.testdir({}), { 'other/1/model.safetensors': tinyFile })
  await t.rejects(load(folder, 'other').loading, { code: 'MODEL_HEADER_INVALID', message: /tiny.*other/ })
})

test('a card and its plots beside the model change nothing and are not reported', async t => {
  const folder = write(t.testdir({}), {
    'tiny/1/model.safetensors': tinyFile,
    'tiny/1/README.md': '![Training](training.svg)',
    'tiny/1/training.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
  })
  const { loading, lines } = load(folder)
  const { served } = await loading
  t.match(served, { name: 'tiny', version: 1, bytes: { model: tinyFile.length } })
  t.same(lines, [])
})

test('a folder without a model file is unreadable', async t => {
  const folder = write(t.testdir({}), { 'tiny/1/README.md': '' })
  await t.rejects(load(folder).loading, { code: 'MODEL_UNREADABLE' })
})

test('a baseline that is not the one which the model names refuses the version', async t => {
  const other = Uint8Array.from(baselineFile)
  other[0] ^= 1
  const folder = write(t.testdir({}), {
    'tiny/1/model.safetensors': tinyWith({ baseline: baselineFile }),
    'tiny/1/baseline.onnx': other,
  })
  await t.rejects(load(folder).loading, { code: 'BASELINE_INVALID', message: /SHA-256/ })
})

test('a model whose baseline was left out is served without it, with a warning', async t => {
  const folder = write(t.testdir({}), { 'tiny/1/model.safetensors': tinyWith({ baseline: baselineFile }) })
  const { loading, lines } = load(folder)
  const { served, spec } = await loading
  t.match(served, { hasBaseline: false, bytes: { baseline: null } })
  t.equal(spec.baseline, null)
  t.match(lines, [{ level: 'warn', details: { path: join(folder, 'tiny/1/baseline.onnx') } }])
})

test('a baseline that no model names is ignored, with a warning', async t => {
  const folder = write(t.testdir({}), {
    'tiny/1/model.safetensors': tinyFile,
    'tiny/1/baseline.onnx': baselineFile,
  })
  const { loading, lines } = load(folder)
  t.equal((await loading).served.hasBaseline, false)
  t.match(lines, [{ level: 'warn', message: /names no baseline/ }])
})

// The last test: what it takes is free again only when it has been collected.
test('a model for whose arena there is no room left is too large, by so many bytes', async t => {
  const { spec } = await loadTiny(t.testdir({}), 2)
  const taken: WebAssembly.Memory[] = []
  const takeAll = (pages: number) => {
    for (;;) taken.push(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }))
  }
  // Addresses run out, not memory: no byte of all that is touched.
  t.throws(() => takeAll(65_536), RangeError)
  t.throws(() => takeAll(spec.memory.buffer.byteLength / 65_536), RangeError)
  t.not(taken.length, 0)
  await t.rejects(loadTiny(t.testdir({}), 2), {
    code: 'MODEL_TOO_LARGE',
    message: `The model needs ${spec.memory.buffer.byteLength} bytes of memory, which the system does not give.`,
    cause: { name: 'RangeError' },
  })
  taken.length = 0
})
