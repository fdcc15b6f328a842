import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { readNpz } from '../../bench/npz.ts'
import { type Lies, npy, storedZip } from './stored-zip.ts'

/** Written by training/tests/make_fixture.py. */
const fixture = fileURLToPath(new URL('../fixtures/tiny.npz', import.meta.url))

async function written(t: Test, bytes: Uint8Array): Promise<string> {
  const file = join(t.testdir({}), 'file.npz')
  await writeFile(file, bytes)
  return file
}

function zipOf(content: Uint8Array, lies?: Lies): Buffer {
  return storedZip([{ name: 'values.npy', content, lies }])
}

t.test('arrays that Python wrote are read', async t => {
  const { test_images: images, test_labels: labels } = await readNpz(fixture, ['test_images', 'test_labels'])
  t.same([images.dtype, images.shape], ['|u1', [11, 13, 11, 3]])
  t.same([labels.dtype, labels.shape], ['<i8', [11]])
  const image = 13 * 11 * 3
  t.ok(images.bytes.subarray(0, image).every(byte => byte === 0))
  t.ok(images.bytes.subarray(image, 2 * image).every(byte => byte === 255))
  t.ok(images.bytes.subarray(2 * image, 3 * image).every((byte, index) => byte === index % 256))
  const values = Array.from({ length: 11 }, (_, index) => Number(labels.bytes.readBigInt64LE(8 * index)))
  t.same(values, [1, 2, 2, 3, 1, 1, 2, 1, 1, 2, 1])
})

t.test('an array of one axis, of none, and of no values is read', async t => {
  for (const [shape, length] of [
    [[3], 3],
    [[], 1],
    [[2, 0, 5], 0],
  ] as const) {
    const file = await written(t, zipOf(npy('|u1', shape, new Uint8Array(length))))
    const { values } = await readNpz(file, ['values'])
    t.same([values.shape, values.bytes.length], [shape, length])
  }
})

t.test('what is not asked for is not read', async t => {
  const bytes = readFileSync(fixture)
  const place = bytes.indexOf('train_images.npy') + 150
  bytes[place] ^= 1
  const file = await written(t, bytes)
  t.same((await readNpz(file, ['test_labels'])).test_labels.shape, [11])
  await t.rejects(readNpz(file, ['train_images']), /train_images\.npy is damaged/)
})

t.test('a file that is no archive, cut short or empty is refused by its name', async t => {
  const bytes = readFileSync(fixture)
  for (const length of [0, 1, 21, 100, bytes.length / 2, bytes.length - 1]) {
    await t.rejects(readNpz(await written(t, bytes.subarray(0, length)), ['test_labels']), /file\.npz: /)
  }
  await t.rejects(readNpz(await written(t, Buffer.alloc(1000)), ['test_labels']), /file\.npz: /)
  await t.rejects(readNpz(join(t.testdir({}), 'absent.npz'), ['test_labels']), /absent\.npz: ENOENT/)
  await t.rejects(readNpz(t.testdir({}), ['test_labels']), /: /)
})

t.test('an array that is not there, or there twice, is named', async t => {
  await t.rejects(readNpz(fixture, ['test_labels', 'masks', 'boxes']), /there is no masks, no boxes/)
  const member = { name: 'values.npy', content: npy('|u1', [1], Uint8Array.of(1)) }
  await t.rejects(readNpz(await written(t, storedZip([member, member])), ['values']), /values is there twice/)
})

t.test('a member that is compressed, damaged or longer than the file is refused', async t => {
  const content = npy('|u1', [4], Uint8Array.of(1, 2, 3, 4))
  const refused: readonly (readonly [Lies, RegExp])[] = [
    [{ method: 8 }, /values\.npy is compressed/],
    [{ method: 99 }, /values\.npy is compressed/],
    [{ crc: 7 }, /values\.npy is damaged/],
    [{ size: 2 ** 31 }, /file\.npz: .*bounds/],
    [{ size: content.length - 1 }, /values\.npy is damaged/],
  ]
  for (const [lies, message] of refused) {
    await t.rejects(readNpz(await written(t, zipOf(content, lies)), ['values']), message)
  }
})

t.test('a header that is not the one that NumPy writes for numbers is refused', async t => {
  const literal = "{'descr': '|u1', 'fortran_order': False, 'shape': (4,), }"
  const headers = [
    '',
    literal.replace('(4,)', '(-4,)'),
    literal.replace('(4,)', '4'),
    literal.replace('(4,)', '(4e0,)'),
    literal.replace('(4,)', '(4,, 1)'),
    literal.replace('(4,)', '(0004000000000000000,)'),
    literal.replace('|u1', '|O'),
    literal.replace('|u1', '<U1'),
    literal.replace('|u1', '|V4'),
    literal.replace("'|u1'", "[('a', '|u1')]"),
    literal.replace('}', "'more': 1}"),
    `${literal} + exit()`,
    literal.slice(1),
  ]
  for (const header of headers) {
    const file = await written(t, zipOf(npy('', [], new Uint8Array(4), header)))
    await t.rejects(readNpz(file, ['values']), /values has another header/, header)
  }
  const fortran = npy('', [], new Uint8Array(4), literal.replace('False', 'True'))
  await t.rejects(readNpz(await written(t, zipOf(fortran)), ['values']), /values is not in C order/)
})

t.test('a member that is no array, or of another version of the format, is refused', async t => {
  const good = npy('|u1', [1], Uint8Array.of(1))
  const second = Buffer.from(good)
  second[6] = 2
  for (const content of [Buffer.alloc(0), good.subarray(0, 9), Buffer.from('not an array'), second]) {
    const file = await written(t, zipOf(content))
    await t.rejects(readNpz(file, ['values']), /values is no array of NumPy's format 1\.0/)
  }
  const long = Buffer.from(good)
  long.writeUInt16LE(65535, 8)
  await t.rejects(readNpz(await written(t, zipOf(long)), ['values']), /values has another header/)
})

t.test('a shape that its values do not have is refused, however large', async t => {
  const largest = 10 ** 15 - 1
  for (const shape of [[3], [5], [2, 3], [largest, largest], new Array<number>(100).fill(largest)]) {
    const file = await written(t, zipOf(npy('|u1', shape, new Uint8Array(4))))
    await t.rejects(readNpz(file, ['values']), /values holds 4 bytes/)
  }
  const infinite = [...new Array<number>(100).fill(largest), 0]
  const file = await written(t, zipOf(npy('|u1', infinite, new Uint8Array(0))))
  await t.rejects(readNpz(file, ['values']), /values holds 0 bytes/)
})

t.test('a flipped byte is refused or changes nothing', async t => {
  const original = readFileSync(fixture)
  const { test_labels: labels } = await readNpz(fixture, ['test_labels'])
  await fc.assert(
    fc.asyncProperty(fc.nat(original.length - 1), fc.integer({ min: 1, max: 255 }), async (place, mask) => {
      const bytes = Buffer.from(original)
      bytes[place] ^= mask
      try {
        t.same((await readNpz(await written(t, bytes), ['test_labels'])).test_labels, labels)
      } catch (error) {
        t.match((error as Error).message, /file\.npz: /)
      }
    }),
    { numRuns: 200 },
  )
})
