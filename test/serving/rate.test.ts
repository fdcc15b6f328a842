import { test } from 'tap'
import { ServiceRate } from '../../src/serving/rate.ts'

test('without a measurement the shortest wait is named', async t => {
  t.equal(new ServiceRate(4).secondsFor(1_000_000), 1)
})

test('a backlog lasts as long as the measured rate says, workers sharing it', async t => {
  const rate = new ServiceRate(2)
  rate.record(10, 5)
  t.equal(rate.secondsFor(40), 10)
})

test('seconds are whole and rounded up, and never fewer than one', async t => {
  const rate = new ServiceRate(1)
  rate.record(4, 1)
  t.equal(rate.secondsFor(5), 2)
  t.equal(rate.secondsFor(1), 1)
})

test('work that only prepares makes each unit dearer', async t => {
  const rate = new ServiceRate(1)
  rate.record(0, 31)
  rate.record(10, 0)
  // 31 s have faded to 31 · 31/32 s.
  t.equal(rate.secondsFor(10), Math.ceil(31 * (31 / 32)))
})

test('the recent past outweighs the distant', async t => {
  const rate = new ServiceRate(1)
  rate.record(1, 1000)
  for (let i = 0; i < 1000; i++) rate.record(1, 2)
  t.equal(rate.secondsFor(1), 2 + 1) // a trace of the first one is left, and is rounded up
  t.equal(rate.secondsFor(10), 21)
})
