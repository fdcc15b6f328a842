import { test } from 'tap'
import { bytes, count, duration, nats, percent } from '../../src/page/format.ts'

test('a share is a percentage with one decimal', t => {
  t.equal(percent(0), '0.0%')
  t.equal(percent(0.0213), '2.1%')
  t.equal(percent(0.5), '50.0%')
  t.equal(percent(1), '100.0%')
  t.end()
})

test('a share that is not quite none or all is not rounded to it', t => {
  t.equal(percent(1e-9), '<0.1%')
  t.equal(percent(0.9996), '>99.9%')
  t.end()
})

test('a duration has three digits, in microseconds below a millisecond', t => {
  t.equal(duration(0.0213), '21.3 µs')
  t.equal(duration(0.1834), '183 µs')
  t.equal(duration(1), '1 ms')
  t.equal(duration(12.345), '12.3 ms')
  t.end()
})

test('nats have two decimals', t => {
  t.equal(nats(0), '0.00')
  t.equal(nats(0.14159), '0.14')
  t.end()
})

test('bytes go by thousands, as storage is sold', t => {
  t.equal(bytes(0), '0 bytes')
  t.equal(bytes(999), '999 bytes')
  t.equal(bytes(1000), '1 kB')
  t.equal(bytes(1_141_234), '1.14 MB')
  t.equal(bytes(5e12), '5,000 GB')
  t.end()
})

test('a large count is short', t => {
  t.equal(count(950), '950')
  t.equal(count(3_294_112), '3.29M')
  t.end()
})
