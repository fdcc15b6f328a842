import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { readIdxImages, readIdxLabels } from '../../bench/idx.ts'

const twoImages = Buffer.of(0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6)
const threeLabels = Buffer.of(0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9)

async function written(t: Test, bytes: Uint8Array): Promise<string> {
  const file = join(t.testdir({}), 'file')
  await writeFile(file, bytes)
  return file
}

t.test('images are read with their size, compressed or not', async t => {
  const expected = { count: 2, height: 1, width: 3 }
  for (const bytes of [twoImages, gzipSync(twoImages)]) {
    const images = await readIdxImages(await written(t, bytes))
    t.match(images, expected)
    t.same([...images.pixels], [1, 2, 3, 4, 5, 6])
  }
})

t.test('labels are read', async t => {
  t.same([...(await readIdxLabels(await written(t, threeLabels)))], [7, 0, 9])
})

t.test('a file of another rank, or of another kind, is refused', async t => {
  await t.rejects(readIdxImages(await written(t, threeLabels)), /not an IDX file of bytes with 3 axes/)
  await t.rejects(readIdxLabels(await written(t, twoImages)), /not an IDX file of bytes with 1 axes/)
  await t.rejects(readIdxLabels(await written(t, Buffer.alloc(0))), /not an IDX file/)
})

t.test('a file that is cut short or too long is refused', async t => {
  await t.rejects(readIdxImages(await written(t, twoImages.subarray(0, -1))), /holds 5 bytes/)
  await t.rejects(
    readIdxLabels(await written(t, Buffer.concat([threeLabels, Buffer.of(1)]))),
    /holds 4 bytes/,
  )
})
