import { test } from 'tap'
import { ServiceRate } from '../../src/serving/rate.ts'

/** So much that what handing a batch over costs does not show. */
const G = 2 ** 40

function about(value: number, expected: number): boolean {
  return Math.abs(value / expected - 1) < 1e-3
}

test('without a measurement no wait is foreseen', async t => {
  const rate = new ServiceRate(4)
  t.equal(rate.secondsFor(G), 0)
  t.equal(rate.workIn(1), 0)
})

test('a backlog lasts as long as the measured rate says, workers sharing it', async t => {
  const rate = new ServiceRate(2)
  rate.record(10 * G, 5)
  t.ok(about(rate.secondsFor(40 * G), 10))
  t.ok(about(rate.workIn(5), 10 * G))
})

test('work that only prepares makes each unit dearer', async t => {
  const rate = new ServiceRate(1)
  rate.record(0, 31)
  rate.record(10 * G, 0)
  // 31 s have faded to 31 · 31/32 s.
  t.ok(about(rate.secondsFor(10 * G), 31 * (31 / 32)))
})

test('the recent past outweighs the distant', async t => {
  const rate = new ServiceRate(1)
  rate.record(G, 1000)
  for (let i = 0; i < 1000; i++) rate.record(G, 2)
  t.ok(about(rate.secondsFor(10 * G), 20))
})

test('what small batches cost beside their work is not taken for the price of work', async t => {
  const rate = new ServiceRate(1)
  // 2²⁰ word operations a millisecond, and handing over costs as much as 2¹⁷ of them.
  for (let i = 0; i < 100; i++) rate.record(2 ** 10, (2 ** 10 + 2 ** 17) / 2 ** 20 / 1000)
  t.ok(about(rate.secondsFor(2 ** 30), 1.024))
})
