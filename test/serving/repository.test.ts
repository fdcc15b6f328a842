import { renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { findVersions, findVersionsOf, signatureOf } from '../../src/serving/repository.ts'
import { recordingLog } from './tiny.ts'

const longest = 'm'.repeat(64)

test('versions are found by name, then by number', async t => {
  const folder = t.testdir({ b: { 1: {} }, a: { 10: {}, 9: {} }, [longest]: { 999999999: {} } })
  const { log, lines } = recordingLog()
  t.same(await findVersions(folder, log), [
    { name: 'a', version: 9, path: join(folder, 'a/9') },
    { name: 'a', version: 10, path: join(folder, 'a/10') },
    { name: 'b', version: 1, path: join(folder, 'b/1') },
    { name: longest, version: 999_999_999, path: join(folder, longest, '999999999') },
  ])
  t.same(lines, [])
})

test('what is named otherwise is reported and ignored', async t => {
  const folder = t.testdir({
    'README.md': '',
    file: '',
    Upper: { 1: {} },
    '.hidden': { 1: {} },
    [`${longest}m`]: { 1: {} },
    good: { 1: {}, 0: {}, '01': {}, '1.0': {}, latest: {}, 1000000000: {}, 2: 'a file' },
  })
  const { log, lines } = recordingLog()
  const found = await findVersions(folder, log)
  t.same(
    found.map(({ name, version }) => [name, version]),
    [['good', 1]],
  )
  t.same(
    lines.map(({ level, details }) => [level, String(details.path).slice(folder.length + 1)]).sort(),
    [
      '.hidden',
      'README.md',
      'Upper',
      'file',
      'good/0',
      'good/01',
      'good/1.0',
      'good/1000000000',
      'good/2',
      'good/latest',
      `${longest}m`,
    ].map(path => ['warn', path]),
  )
})

test('links to folders are followed, and links that lead nowhere are ignored', async t => {
  const folder = t.testdir({ target: { 1: {} }, model: {} })
  symlinkSync('target', join(folder, 'alias'))
  symlinkSync('nowhere', join(folder, 'dangling'))
  symlinkSync('../target/1', join(folder, 'model/2'))
  const { log, lines } = recordingLog()
  t.same(
    (await findVersions(folder, log)).map(({ name, version }) => [name, version]),
    [
      ['alias', 1],
      ['model', 2],
      ['target', 1],
    ],
  )
  t.same(
    lines.map(({ details }) => details.path),
    [join(folder, 'dangling')],
  )
})

test('a folder that cannot be read holds no models', async t => {
  const { log } = recordingLog()
  await t.rejects(findVersions(join(t.testdir({}), 'absent'), log), { code: 'MODELS_MISSING' })
})

test('a model without a version is reported', async t => {
  const folder = t.testdir({ empty: {} })
  const { log, lines } = recordingLog()
  t.same(await findVersions(folder, log), [])
  t.match(lines, [{ level: 'warn', details: { path: join(folder, 'empty') }, message: /no version/ }])
})

test('an empty folder holds no versions', async t => {
  const { log } = recordingLog()
  t.same(await findVersions(t.testdir({}), log), [])
})

test('the versions of one model are found without those of the others', async t => {
  const folder = t.testdir({ a: { 2: {}, 1: {} }, b: { 3: {} } })
  t.same(await findVersionsOf(folder, 'a', recordingLog().log), [
    { name: 'a', version: 1, path: join(folder, 'a/1') },
    { name: 'a', version: 2, path: join(folder, 'a/2') },
  ])
})

test('a name that is not one of the folder is no path', async t => {
  const folder = t.testdir({ models: { a: { 1: {} }, Upper: { 1: {} } }, outside: { 1: {} } })
  for (const name of ['', '.', '..', '../outside', 'a/1', 'b', 'Upper', 'a\0']) {
    const find = findVersionsOf(join(folder, 'models'), name, recordingLog().log)
    await t.rejects(find, { code: 'MODEL_UNKNOWN' }, JSON.stringify(name))
  }
})

test('a signature changes with the content, the time and the presence of either file', async t => {
  const path = t.testdir({ 'model.safetensors': 'one' })
  const signatures: (string | null)[] = []
  const sign = async () => signatures.push(await signatureOf({ name: 'a', version: 1, path }))
  await sign()
  await sign()
  t.equal(signatures[0], signatures[1])
  for (const change of [
    () => writeFileSync(join(path, 'model.safetensors'), 'longer'),
    () => utimesSync(join(path, 'model.safetensors'), 1, 1),
    () => writeFileSync(join(path, 'baseline.onnx'), ''),
    () => rmSync(join(path, 'baseline.onnx')),
    () => rmSync(join(path, 'model.safetensors')),
  ]) {
    change()
    await sign()
  }
  t.equal(new Set(signatures).size, 5)
  t.equal(signatures[3], signatures[5])
})

test('a version whose folder is gone since it was found has no signature', async t => {
  const folder = t.testdir({ models: { a: { 1: { 'model.safetensors': 'one' } } } })
  const [found] = await findVersions(join(folder, 'models'), recordingLog().log)
  t.type(await signatureOf(found!), 'string')
  renameSync(join(folder, 'models/a'), join(folder, 'moved'))
  t.equal(await signatureOf(found!), null)
  writeFileSync(join(folder, 'models/a'), 'no folder')
  t.type(await signatureOf(found!), 'string', 'nobody can tell, as where a share does not answer')
})

test('what is not served is neither reported nor part of a signature, whole or half written', async t => {
  const folder = t.testdir({ a: { 1: { 'model.safetensors': 'one' } } })
  const { log, lines } = recordingLog()
  const version = { name: 'a', version: 1, path: join(folder, 'a/1') }
  const before = await signatureOf(version)
  for (const name of ['README.md', 'training.svg', 'confusion.svg.partial', 'baseline-int8.onnx']) {
    writeFileSync(join(version.path, name), '')
  }
  t.same(await findVersions(folder, log), [version])
  t.same(lines, [])
  t.equal(await signatureOf(version), before)
})
