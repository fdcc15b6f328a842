import fc from 'fast-check'
import { test } from 'tap'
import { highest } from '../../src/http/ranking.ts'

test('the highest values come first, and of equal ones the one with the lowest index', t => {
  t.same(highest([0.1, 0.4, 0.3, 0.4, 0.2], 0, 5, 3), [1, 3, 2])
  t.same(highest([9, 0.1, 0.4, 9], 1, 2, 1), [1], 'among others')
  t.same(highest([5, 5, 5], 0, 3, 3), [0, 1, 2])
  t.end()
})

test('so many are given as were asked for, in the order of a stable sort', t => {
  const asked = fc
    .array(fc.integer({ min: -5, max: 5 }), { minLength: 1, maxLength: 40, size: 'max' })
    .chain(values => fc.tuple(fc.constant(values), fc.integer({ min: 1, max: values.length })))
  fc.assert(
    fc.property(asked, ([values, count]) => {
      const sorted = values.map((value, index) => ({ value, index })).sort((a, b) => b.value - a.value)
      const expected = sorted.slice(0, count).map(({ index }) => index)
      t.strictSame(highest([7, ...values], 1, values.length, count), expected)
    }),
  )
  t.end()
})
