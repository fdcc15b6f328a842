import { test } from 'tap'
import { colourPngs } from '../../bench/http/colour-images.ts'
import { probeImage } from '../../src/images/probe.ts'
import { encodeGreyPng } from '../images/png.ts'

const png = (side: number, grey: number) => encodeGreyPng(new Uint8Array(side * side).fill(grey), side, side)

test('without a folder 64 different images are made up, the same from run to run', async t => {
  const [first, second] = [await colourPngs(undefined, 32), await colourPngs(undefined, 32)]
  t.same(first, second)
  t.equal(new Set(first.map(file => Buffer.from(file).toString('base64'))).size, 64)
  for (const file of first) t.match(probeImage(file, 1024), { format: 'png', width: 32, height: 32 })
})

test('the first 64 PNG files of a folder are taken, by their names', async t => {
  const names = Array.from({ length: 70 }, (_, index) => `${String(index).padStart(2, '0')}.png`)
  const files = Object.fromEntries(names.map((name, index) => [name, png(8, index)]))
  const folder = t.testdir({ ...files, 'README.md': 'no image' })
  t.same(
    await colourPngs(folder, 8),
    names.slice(0, 64).map(name => files[name]),
  )
})

test('a folder without PNG files, and an image of another size, are refused by name', async t => {
  const folder = t.testdir({ none: {}, mixed: { 'a.png': png(8, 0), 'b.png': png(9, 0) } })
  await t.rejects(colourPngs(`${folder}/none`, 8), { message: /none has no PNG files/ })
  await t.rejects(colourPngs(`${folder}/mixed`, 8), { message: /b\.png has 9 × 9 pixels, not 8 × 8/ })
})
