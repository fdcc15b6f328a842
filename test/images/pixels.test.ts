import t from 'tap'
import { toLight } from '../../src/images/pixels.ts'

t.test('light for a model of three channels stays as it is', async t => {
  t.same([...toLight(Uint8Array.of(1, 2, 3, 4, 5, 6), 'rgb', 3)], [1, 2, 3, 4, 5, 6])
})

t.test('grey is the rounded luma of the three primaries', async t => {
  const primaries = Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255)
  t.same([...toLight(primaries, 'rgb', 1)], [76, 150, 29, 255])
})

t.test('grey of equal channels is their value, for each of the 256', async t => {
  const values = Array.from({ length: 256 }, (_, value) => value)
  t.same([...toLight(Uint8Array.from(values.flatMap(value => [value, value, value])), 'rgb', 1)], values)
})

t.test('grey stays as it is, or becomes three equal channels', async t => {
  t.same([...toLight(Uint8Array.of(0, 7, 255), 'grey', 1)], [0, 7, 255])
  t.same([...toLight(Uint8Array.of(0, 7, 255), 'grey', 3)], [0, 0, 0, 7, 7, 7, 255, 255, 255])
})

t.test('alpha is laid over black and rounded', async t => {
  const pixels = Uint8Array.of(100, 150, 255, 255, 100, 150, 255, 128, 100, 150, 255, 1, 100, 150, 255, 0)
  t.same([...toLight(pixels, 'rgba', 3)], [100, 150, 255, 50, 75, 128, 0, 1, 1, 0, 0, 0])
})

t.test('alpha comes before grey', async t => {
  // floor((255·100 + 127) / 255) = 100 on red alone; its luma is (19595·100 + 32768) >> 16
  t.same([...toLight(Uint8Array.of(255, 0, 0, 100), 'rgba', 1)], [30])
})

t.test('inks take light away, black from all three', async t => {
  const pixels = Uint8Array.of(0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255, 0, 51, 255, 51)
  t.same([...toLight(pixels, 'cmyk', 3)], [255, 255, 255, 0, 255, 255, 0, 0, 0, 204, 163, 0])
})

t.test('inks become grey for a model of one channel', async t => {
  t.same([...toLight(Uint8Array.of(255, 0, 0, 0), 'cmyk', 1)], [179]) // (38470·255 + 7471·255 + 32768) >> 16
})
