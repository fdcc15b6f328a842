import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { bitAt, copyBits, countOnes, placeBits, tapBytes, wordsFor } from '../../src/engine/bits.ts'

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

t.test('bits are copied from anywhere, and the last byte is filled with zeros', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.nat(), fc.nat(), (source, a, b) => {
        const begin = a % (source.length * 8)
        const count = b % (source.length * 8 - begin + 1)
        const target = new Uint8Array(22).fill(0xff)
        copyBits(source, begin, count, target, 1)
        const end = 1 + Math.ceil(count / 8)
        for (let bit = 0; bit < 22 * 8; bit++) {
          const inside = bit >= 8 && bit < end * 8
          const copied = bit - 8 < count ? bitAt(source, begin + bit - 8) : 0
          assert.equal(bitAt(target, bit), inside ? copied : 1)
        }
      }),
    ),
  )
})

t.test('bits are placed anywhere, and nothing beside them changes', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 2, maxLength: 20 }),
        fc.nat(),
        fc.nat(40),
        (source, a, begin) => {
          const count = a % ((source.length - 1) * 8 + 1)
          const target = new Uint8Array(26)
          for (let bit = 0; bit < begin; bit++) target[bit >> 3] |= 1 << (bit & 7)
          placeBits(source, 1, count, target, begin)
          for (let bit = 0; bit < 26 * 8; bit++) {
            const inside = bit >= begin && bit < begin + count
            const before = bit < begin ? 1 : 0
            assert.equal(bitAt(target, bit), inside ? bitAt(source, 8 + bit - begin) : before)
          }
        },
      ),
    ),
  )
})

t.test('ones are counted', async t => {
  t.equal(countOnes(Uint8Array.of()), 0)
  t.equal(countOnes(Uint8Array.of(0, 1, 0x80, 0xff, 0x55)), 14)
})
