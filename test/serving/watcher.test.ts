import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { XnordError } from '../../src/errors.ts'
import { createService } from '../../src/serving/service.ts'
import { Watcher } from '../../src/serving/watcher.ts'
import { recordingLog, recordingObserver, tinyFolder, tinyWith, write } from './tiny.ts'

interface Test {
  testdir(content: Record<string, never>): string
  teardown(end: () => void): void
}

/** A watcher of a folder with the models a and b, and what it has asked for. */
async function watched(t: Test, fail: (name: string) => void = () => undefined) {
  const base = t.testdir({})
  const folder = write(join(base, 'models'), { 'a/1/model.safetensors': 'a', 'b/1/model.safetensors': 'b' })
  const { log, lines } = recordingLog()
  const asked: string[] = []
  const ask = (what: string) => async (name: string) => {
    asked.push(`${what} ${name}`)
    fail(name)
  }
  const watcher = new Watcher({ folder, seconds: 0.005, load: ask('load'), unload: ask('unload'), log })
  await watcher.start()
  t.teardown(() => watcher.stop())
  return { base, folder, watcher, asked, lines }
}

const looks = (count = 5) => new Promise(resolve => setTimeout(resolve, 10 * count))

async function until(isSo: () => boolean): Promise<void> {
  for (let look = 0; look < 1000; look++) {
    if (isSo()) return
    await looks(1)
  }
  throw new Error('it did not come to that')
}

test('what changes, comes or goes is loaded or unloaded, once each', async t => {
  const { base, folder, asked } = await watched(t)
  await looks()
  t.same(asked, [])
  write(folder, { 'a/1/model.safetensors': 'another' })
  await until(() => asked.length === 1)
  write(folder, { 'a/2/model.safetensors': 'two' })
  await until(() => asked.length === 2)
  write(folder, { 'c/1/model.safetensors': 'c' })
  await until(() => asked.length === 3)
  renameSync(join(folder, 'b'), join(base, 'b'))
  await until(() => asked.length === 4)
  await looks()
  // A file that is created and then written may be seen in between.
  t.same([...new Set(asked)], ['load a', 'load c', 'unload b'])
})

test('what is broken is tried again when it changes, and not before', async t => {
  const { base, folder, asked, lines } = await watched(t, () => {
    throw new XnordError('MODEL_DIGEST_MISMATCH', 'It is half copied.')
  })
  renameSync(write(join(base, 'half'), { 'model.safetensors': 'half' }), join(folder, 'a/2'))
  await until(() => asked.length === 1)
  await looks()
  t.equal(asked.length, 1)
  renameSync(write(join(base, 'whole'), { 'model.safetensors': 'whole' }), join(folder, 'a/3'))
  await until(() => asked.length === 2)
  t.match(lines, [{ level: 'warn', details: { model: 'a', code: 'MODEL_DIGEST_MISMATCH' } }, {}])
})

test('what failed for no fault of the files is tried again at the next look', async t => {
  let failures = 3
  const { base, folder, asked } = await watched(t, () => {
    if (failures-- > 0) throw new XnordError('WORKER_LOST', 'The worker died.')
  })
  renameSync(join(folder, 'a'), join(base, 'a'))
  await until(() => asked.length === 4)
  await looks()
  t.same(asked, ['unload a', 'unload a', 'unload a', 'unload a'])
})

test('nothing is unloaded because the folder cannot be seen, and that is said once', async t => {
  const { base, folder, asked, lines } = await watched(t)
  const away = join(base, 'away')
  renameSync(folder, away)
  await until(() => lines.length === 1)
  await looks()
  mkdirSync(folder)
  await looks()
  rmSync(folder, { recursive: true })
  renameSync(away, folder)
  await looks()
  t.same(asked, [])
  t.match(lines, [{ message: /cannot be watched/ }])
  t.equal(lines.length, 1)
})

test('a folder that is empty all at once is one that is not there', async t => {
  // Moved and not removed: of a folder that is being emptied a look may see a part.
  const { base, folder, asked, lines } = await watched(t)
  renameSync(join(folder, 'a'), join(base, 'a'))
  await until(() => asked.length === 1)
  renameSync(join(folder, 'b'), join(base, 'b'))
  await until(() => lines.length === 1)
  await looks()
  t.same(asked, ['unload a'])
  t.match(lines, [{ message: /is empty/ }])
})

test('after its end it looks no more', async t => {
  const { folder, watcher, asked } = await watched(t)
  watcher.stop()
  write(folder, { 'c/1/model.safetensors': 'c' })
  await looks()
  t.same(asked, [])
})

test('a service follows its folder where it is told to', async t => {
  const base = t.testdir({})
  const folder = tinyFolder(join(base, 'models'))
  const { observer } = recordingObserver()
  const { log } = recordingLog()
  const limits = { workers: 1, queueRows: 10, maxPixels: 10_000, watchSeconds: 0.01 }
  const service = await createService({ models: folder, ...limits, observer, log })
  t.teardown(() => service.close())
  const staged = write(join(base, 'second'), { '1/model.safetensors': tinyWith({ name: 'second' }) })
  renameSync(staged, join(folder, 'second'))
  await until(() => service.models().length === 2)
  rmSync(join(folder, 'tiny'), { recursive: true })
  await until(() => service.models().length === 1)
  t.equal(service.find().name, 'second')
})
