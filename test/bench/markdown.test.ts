import { test } from 'tap'
import { cost, spread, table } from '../../bench/markdown.ts'

test('a figure has three digits, and its quartiles in the unit that is asked for', t => {
  t.equal(spread({ lower: 1.2344, median: 1.2355, upper: 123.4 }), '1.24 (1.23–123)')
  t.equal(spread({ lower: 0.0012, median: 0.00123, upper: 0.002 }, 1000), '1.23 (1.2–2)')
  t.end()
})

test('a cost is not resolved where its lower quartile is not above 0', t => {
  t.equal(cost({ lower: 0.1, median: 2, upper: 3 }), '2 (0.1–3)')
  t.equal(cost({ lower: 0, median: 2, upper: 3 }), '(not resolved)')
  t.equal(cost({ lower: -1, median: 2, upper: 3 }), '(not resolved)')
  t.equal(cost({ lower: -3, median: -2, upper: -1 }), '(not resolved)')
  t.end()
})

test('a column of numbers is aligned right, whether or not all are resolved', t => {
  const rows = [
    ['a', '1 (1–1)', '1'],
    ['b', '(not resolved)', 'none'],
  ]
  t.match(table(['name', 'ns', 'word'], rows), '| --- | ---: | --- |')
  t.end()
})
