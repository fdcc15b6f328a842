import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type Lifetime, placeLifetimes } from '../../src/engine/lifetime.ts'

const lifetime = (bytes: number, from: number, to: number): Lifetime => ({ bytes, from, to })

t.test('things in turn share their bytes, those that meet in a step do not', async t => {
  const chain = [lifetime(100, 0, 1), lifetime(100, 1, 2), lifetime(100, 2, 3), lifetime(64, 3, 3)]
  t.strictSame(placeLifetimes(chain, 64), { offsets: [64, 192, 64, 192], end: 292 })
})

t.test('what lives long keeps its place while others come and go beside it', async t => {
  const residual = [lifetime(640, 0, 4), lifetime(64, 1, 2), lifetime(64, 2, 3), lifetime(64, 3, 4)]
  t.strictSame(placeLifetimes(residual, 0), { offsets: [0, 640, 704, 640], end: 768 })
})

t.test('a gap is used where it is large enough', async t => {
  const gap = [
    lifetime(256, 0, 2),
    lifetime(192, 0, 0),
    lifetime(128, 0, 2),
    lifetime(64, 1, 1),
    lifetime(300, 3, 3),
  ]
  t.strictSame(placeLifetimes(gap, 0), { offsets: [0, 256, 448, 256, 0], end: 576 })
})

t.test('nothing needs no bytes', async t => {
  t.strictSame(placeLifetimes([], 128), { offsets: [], end: 128 })
})

t.test('whatever lives at the same time lies apart, aligned, and within the end', async t => {
  const any = fc
    .tuple(fc.integer({ min: 1, max: 2000 }), fc.nat(30), fc.nat(8))
    .map(([bytes, from, length]) => lifetime(bytes, from, from + length))
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(any, { maxLength: 40 }), lifetimes => {
        const { offsets, end } = placeLifetimes(lifetimes, 64)
        for (const [a, one] of lifetimes.entries()) {
          assert.equal(offsets[a] % 64, 0)
          assert.ok(offsets[a] >= 64 && offsets[a] + one.bytes <= end)
          for (const [b, other] of lifetimes.entries()) {
            const meet = a !== b && one.from <= other.to && other.from <= one.to
            if (!meet) continue
            assert.ok(offsets[a] + one.bytes <= offsets[b] || offsets[b] + other.bytes <= offsets[a])
          }
        }
      }),
    ),
  )
})
