import { execFileSync } from 'node:child_process'
import { existsSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { readBounded } from '../../src/serving/files.ts'

test('a file within the limit is read whole', async t => {
  const folder = t.testdir({ file: 'abc', empty: '' })
  t.same(await readBounded(join(folder, 'file'), 3, 'MODEL_TOO_LARGE'), new Uint8Array([97, 98, 99]))
  t.same(await readBounded(join(folder, 'empty'), 3, 'MODEL_TOO_LARGE'), new Uint8Array(0))
})

test('a file over the limit is refused with the code that was asked for', async t => {
  const path = join(t.testdir({ file: 'abcd' }), 'file')
  await t.rejects(readBounded(path, 3, 'BASELINE_INVALID'), {
    code: 'BASELINE_INVALID',
    message: /4 bytes.*3/,
  })
})

test('a link to a file is followed', async t => {
  const folder = t.testdir({ file: 'abc' })
  symlinkSync('file', join(folder, 'link'))
  t.equal((await readBounded(join(folder, 'link'), 3, 'MODEL_TOO_LARGE')).length, 3)
})

test('what is not there or not a file is unreadable', async t => {
  const folder = t.testdir({ folder: {} })
  symlinkSync('nowhere', join(folder, 'dangling'))
  for (const name of ['absent', 'folder', 'dangling']) {
    await t.rejects(readBounded(join(folder, name), 3, 'MODEL_TOO_LARGE'), { code: 'MODEL_UNREADABLE' }, name)
  }
})

test('a pipe without a writer does not hold up the start', async t => {
  const path = join(t.testdir({}), 'pipe')
  execFileSync('mkfifo', [path])
  await t.rejects(readBounded(path, 3, 'MODEL_TOO_LARGE'), { code: 'MODEL_UNREADABLE' })
})

/** Linux says 4096 bytes of it, whatever it holds. */
const shortFile = '/sys/devices/system/cpu/online'

test('a file that holds less than it says is unreadable', {
  skip: !existsSync(shortFile) && 'only Linux has such a file',
}, async t => {
  const reading = readBounded(shortFile, 65_536, 'MODEL_TOO_LARGE')
  await t.rejects(reading, { code: 'MODEL_UNREADABLE', message: /shrank/ })
})
