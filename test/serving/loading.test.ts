import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'tap'
import { loadApart, obeyLoadOrder } from '../../src/serving/loading.ts'
import { loadModel } from '../../src/serving/model.ts'
import type { FoundVersion } from '../../src/serving/repository.ts'
import { recordingLog, tinyFile, tinyFolder, tinyWith, write } from './tiny.ts'

const version = (folder: string, name = 'tiny'): FoundVersion => ({
  name,
  version: 1,
  path: join(folder, name, '1'),
})

test('a model that a thread of its own has loaded is the one that this thread loads', async t => {
  const found = version(tinyFolder(t.testdir({})))
  const { log } = recordingLog()
  const here = await loadModel(found, 'wasm', 2, log)
  const apart = await loadApart(found, 'wasm', 2, log)
  t.same(apart.served, here.served)
  const { id: _, memory, ...spec } = here.spec
  t.match(apart.spec, spec)
  t.ok(Buffer.from(apart.spec.memory.buffer).equals(Buffer.from(memory.buffer)))
  t.type(apart.spec.check.logits.buffer, SharedArrayBuffer)
  t.type(apart.spec.baseline, SharedArrayBuffer)
})

test('models that threads have loaded have identities of their own', async t => {
  const found = version(tinyFolder(t.testdir({})))
  const { log } = recordingLog()
  const load = [loadApart, loadModel, loadApart]
  const ids = await Promise.all(load.map(async one => (await one(found, 'wasm', 1, log)).spec.id))
  t.equal(new Set(ids).size, 3)
})

const slow = new URL('./slow-loading-thread.ts', import.meta.url)

test('this thread goes on while a model is loaded, whatever keeps the other one busy', async t => {
  const found = version(tinyFolder(t.testdir({})))
  let turns = 0
  let loading = true
  const loaded = loadApart(found, 'wasm', 2, recordingLog().log, { entry: slow }).finally(() => {
    loading = false
  })
  while (loading) {
    await delay(1)
    turns++
  }
  t.equal((await loaded).served.name, 'tiny')
  t.ok(turns > 20, 'it would have had a few, had it been the one that was busy')
})

test('the loading of a model can be ended, before it begins and while it lasts', async t => {
  const found = version(tinyFolder(t.testdir({})))
  const { log } = recordingLog()
  const ended = AbortSignal.abort()
  await t.rejects(loadApart(found, 'wasm', 1, log, { signal: ended }), { code: 'SHUTTING_DOWN' })
  const ending = new AbortController()
  const loaded = loadApart(found, 'wasm', 1, log, { entry: slow, signal: ending.signal })
  setImmediate(() => ending.abort())
  await t.rejects(loaded, { code: 'SHUTTING_DOWN', retryAfter: 1 })
})

test('what is refused by a thread is refused with its code and detail', async t => {
  const folder = write(t.testdir({}), { 'other/1/model.safetensors': tinyFile })
  const { log, lines } = recordingLog()
  await t.rejects(loadApart(version(folder, 'other'), 'wasm', 1, log), {
    code: 'MODEL_HEADER_INVALID',
    message: "The model's name is tiny, and that of its folder other.",
  })
  t.same(lines, [])
})

test('what a thread has to say is logged', async t => {
  const baseline = Buffer.from('not there')
  const folder = write(t.testdir({}), { 'tiny/1/model.safetensors': tinyWith({ baseline }) })
  const { log, lines } = recordingLog()
  await loadApart(version(folder), 'wasm', 1, log)
  t.match(lines, [
    {
      level: 'warn',
      message: /without its baseline/,
      details: { path: join(folder, 'tiny/1/baseline.onnx') },
    },
  ])
})

test('a bug in a thread is INTERNAL, and its place is in the log', async t => {
  const { log, lines } = recordingLog()
  const nowhere = { name: 'tiny', version: 1 } as FoundVersion
  await t.rejects(loadApart(nowhere, 'wasm', 1, log), { code: 'INTERNAL' })
  t.match(lines, [{ level: 'error', details: { stack: /loadModel/ } }])
})

test('a thread that dies is an error with a code', async t => {
  const { log } = recordingLog()
  const options = {
    entry: new URL('./mortal-loading.ts', import.meta.url),
    resourceLimits: { maxOldGenerationSizeMb: 64 },
  }
  const codes = { exit: 'WORKER_LOST', error: 'WORKER_LOST', end: 'WORKER_LOST', memory: 'MODEL_TOO_LARGE' }
  for (const [death, code] of Object.entries(codes)) {
    await t.rejects(loadApart(version('', death), 'wasm', 1, log, options), { code }, death)
  }
})

test('a thread answers with data alone', async t => {
  const found = version(tinyFolder(t.testdir({})))
  t.match(await obeyLoadOrder({ found, backend: 'wasm', slots: 1 }), {
    result: { kind: 'loaded', model: { served: { name: 'tiny' } } },
    lines: [],
  })
  t.match(await obeyLoadOrder({ found: version('/nowhere'), backend: 'wasm', slots: 1 }), {
    result: { kind: 'failed', error: { code: 'MODEL_UNREADABLE' }, stack: null },
  })
  const nowhere = { name: 'tiny', version: 1 } as FoundVersion
  t.match(await obeyLoadOrder({ found: nowhere, backend: 'wasm', slots: 1 }), {
    result: { kind: 'failed', error: { code: 'INTERNAL' }, stack: /loadModel/ },
  })
})
