import t from 'tap'
import { WasmDecoder } from '../../src/images/wasm-decoder.ts'

function counting() {
  let opened = 0
  const decoder = new WasmDecoder('@cwasm/lodepng/lodepng.wasm', () => ++opened)
  return { decoder, opened: () => opened }
}

function fail(): never {
  throw new Error('damaged')
}

t.test('a decoder is opened by its first file, and kept', async t => {
  const { decoder, opened } = counting()
  t.equal(opened(), 0)
  t.equal(
    decoder.use(instance => instance),
    1,
  )
  t.equal(
    decoder.use(instance => instance),
    1,
  )
})

t.test('an instance that gave an error meets no other file', async t => {
  const { decoder } = counting()
  t.equal(decoder.use(fail), null)
  const seen = Array.from({ length: 200 }, () => decoder.use(instance => instance))
  t.same(new Set(seen), new Set([null, 2]))
})

t.test('however many files give an error, few of them open an instance', async t => {
  const { decoder, opened } = counting()
  for (let file = 0; file < 1000; file++) t.equal(decoder.use(fail), null)
  t.ok(opened() <= 20, `${opened()} instances`)
})

t.test('a decoder that is not installed is an error, not a file that cannot be decoded', async t => {
  const decoder = new WasmDecoder('@cwasm/lodepng/missing.wasm', () => 1)
  t.throws(() => decoder.use(() => 1), { code: 'MODULE_NOT_FOUND' })
})
