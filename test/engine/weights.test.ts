import t from 'tap'
import {
  bytesForBits,
  bytesForPixels,
  packForBits,
  packForPixels,
  unmaskedTaps,
} from '../../src/engine/weights.ts'

// Two channels of six taps, a bit each: signs + − + − + − and + + + + + +; masks 1 1 1 1 0 0 and 0 0 0 0 0 1.
const sign = Uint8Array.of(0b010101, 0b111111)
const signMasked = Uint8Array.of(0b000101, 0b100000)
const mask = Uint8Array.of(0b001111, 0b100000)
const binary = { sign, mask: null, out: 2, taps: 6 }
const ternary = { sign: signMasked, mask, out: 2, taps: 6 }

function words(bytes: Uint8Array): bigint[] {
  return [...new BigUint64Array(bytes.buffer)]
}

t.test('unmasked taps are counted a channel', async t => {
  t.equal(unmaskedTaps(binary, 0), 6)
  t.equal(unmaskedTaps(ternary, 0), 4)
  t.equal(unmaskedTaps(ternary, 1), 1)
})

t.test('for bits, the taps of each pixel begin a word', async t => {
  const target = new Uint8Array(bytesForBits(binary, 3))
  packForBits(binary, 3, target)
  t.strictSame(words(target), [0b101n, 0b010n, 0b111n, 0b111n])
})

t.test('for bits, a word of mask follows each word of sign', async t => {
  const target = new Uint8Array(bytesForBits(ternary, 3))
  packForBits(ternary, 3, target)
  t.strictSame(words(target), [0b101n, 0b111n, 0b000n, 0b001n, 0b000n, 0b000n, 0b100n, 0b100n])
})

t.test('for bits, channels beyond 64 of a pixel go into its next word', async t => {
  const plane = { sign: new Uint8Array(9).fill(0b10000000), mask: null, out: 1, taps: 65 }
  plane.sign[8] = 1
  const target = new Uint8Array(bytesForBits(plane, 65))
  packForBits(plane, 65, target)
  t.strictSame(words(target), [0x8080808080808080n, 1n])
})

t.test(
  'for pixels, eight channels lie side by side, two taps each, every line filled up to a pair',
  async t => {
    const target = new Int16Array(bytesForPixels(ternary, 2) / 2)
    packForPixels(ternary, 2, target)
    const none = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    t.strictSame(
      [...target],
      [1, -1, 0, 0, ...none, 1, 0, 0, 0, ...none, -1, 0, 0, 0, ...none, 0, 0, 1, 0, ...none],
    )
  },
)
