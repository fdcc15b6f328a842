import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { readPackedTest } from '../../bench/packed.ts'
import { npy, storedZip } from './stored-zip.ts'

const fixture = fileURLToPath(new URL('../fixtures/tiny.npz', import.meta.url))

/** Two images of 1 × 2 grey pixels, of classes 0 and 3. */
const images = npy('|u1', [2, 1, 2, 1], Uint8Array.of(1, 2, 3, 4))
const labels = integers([0n, 3n])

function integers(values: readonly bigint[], shape: readonly number[] = [values.length]): Buffer {
  return npy('<i8', shape, new Uint8Array(BigInt64Array.from(values).buffer))
}

async function written(t: Test, images: Buffer, labels: Buffer): Promise<string> {
  const file = join(t.testdir({}), 'pets.npz')
  await writeFile(
    file,
    storedZip([
      { name: 'test_images.npy', content: images },
      { name: 'test_labels.npy', content: labels },
    ]),
  )
  return file
}

t.test('the test images of a packed data set are read with their labels', async t => {
  const test = await readPackedTest(fixture)
  t.match(test, { count: 11, height: 13, width: 11, channels: 3 })
  t.equal(test.pixels.length, 11 * 13 * 11 * 3)
  t.same(test.labels, [1, 2, 2, 3, 1, 1, 2, 1, 1, 2, 1])
  const grey = await readPackedTest(await written(t, images, labels))
  t.match(grey, { count: 2, height: 1, width: 2, channels: 1, labels: [0, 3] })
  t.same([...grey.pixels], [1, 2, 3, 4])
})

t.test('what are no images are refused', async t => {
  const refused = [
    npy('<i8', [2, 1, 2, 1], new Uint8Array(32)),
    npy('|u1', [2, 2], new Uint8Array(4)),
    npy('|u1', [2, 1, 2, 1, 1], new Uint8Array(4)),
    npy('|u1', [0, 1, 2, 1], new Uint8Array(0)),
    npy('|u1', [2, 0, 2, 1], new Uint8Array(0)),
    npy('|u1', [2, 1, 1025, 1], new Uint8Array(2050)),
    npy('|u1', [2, 1025, 1, 1], new Uint8Array(2050)),
    npy('|u1', [2, 1, 1, 2], new Uint8Array(4)),
    npy('|u1', [2, 1, 1, 4], new Uint8Array(8)),
  ]
  for (const images of refused) {
    await t.rejects(readPackedTest(await written(t, images, labels)), /pets\.npz: test_images are/)
  }
})

t.test('labels that are not one place of a class an image are refused', async t => {
  const refused = [
    integers([0n]),
    integers([0n, 1n, 2n]),
    integers([0n, 1n], [2, 1]),
    integers([0n, 1n], [1, 2]),
    npy('|u1', [2], new Uint8Array(2)),
    npy('>i8', [2], new Uint8Array(16)),
    integers([0n, -1n]),
    integers([0n, 65536n]),
    integers([2n ** 62n, 0n]),
  ]
  for (const labels of refused) {
    await t.rejects(readPackedTest(await written(t, images, labels)), /pets\.npz: test_labels are not/)
  }
})
