import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { bitAt, countOnes, setBit, tapBytes, wordsFor } from '../../src/engine/bits.ts'

t.test('64 channels fill a word, 8 taps a byte', async t => {
  t.strictSame([1, 64, 65, 128, 129].map(wordsFor), [1, 1, 2, 2, 3])
  t.strictSame([1, 8, 9, 25].map(tapBytes), [1, 1, 2, 4])
})

t.test('bit i is bit i & 7 of byte i >> 3', async t => {
  const packed = Uint8Array.of(0b00000010, 0b10000000)
  t.strictSame(
    Array.from({ length: 16 }, (_, index) => bitAt(packed, index)),
    [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  )
})

t.test('bits that are set are the ones that are found and counted', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(99)), indices => {
        const packed = new Uint8Array(13)
        for (const index of indices) setBit(packed, index)
        for (let index = 0; index < 104; index++) {
          assert.equal(bitAt(packed, index), indices.includes(index) ? 1 : 0)
        }
        assert.equal(countOnes(packed), indices.length)
      }),
    ),
  )
})
