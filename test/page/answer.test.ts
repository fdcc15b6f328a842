import { test } from 'tap'
import { type Answer, agreeing, chartRows, type Reading, sentence } from '../../src/page/answer.ts'

function reading(shares: Readonly<Record<string, number>>): Reading {
  const [label, probability] = Object.entries(shares).sort(([, a], [, b]) => b - a)[0]!
  return { label, probability, probabilities: new Map(Object.entries(shares)), milliseconds: 0.1 }
}

function answer(discrete: Reading, baseline: Reading | null, members: number, agreement: number): Answer {
  return {
    backend: 'wasm',
    discrete,
    baseline,
    uncertainty: { entropy: 0.1, mutualInformation: 0.01, agreement, members },
  }
}

const cat = reading({ cat: 0.8, dog: 0.2 })
const dog = reading({ cat: 0.4, dog: 0.6 })

test('a few classes are all in the chart, in the order of the model', t => {
  t.same(chartRows(['dog', 'cat'], answer(cat, dog, 1, 1)), [
    { label: 'dog', discrete: 0.2, baseline: 0.6 },
    { label: 'cat', discrete: 0.8, baseline: 0.4 },
  ])
  t.end()
})

test('of many classes the chart has the ten that either network finds most probable, falling', t => {
  const labels = Array.from({ length: 12 }, (_, index) => `c${index}`)
  const discrete = reading({ c11: 0.5, c1: 0.2, c2: 0.1, c3: 0.05 })
  const baseline = reading({ c7: 0.9, c3: 0.06, c11: 0.04 })
  const rows = chartRows(labels, answer(discrete, baseline, 1, 1))
  t.equal(rows.length, 10)
  t.same(
    rows.slice(0, 5).map(row => row.label),
    ['c7', 'c11', 'c1', 'c2', 'c3'],
  )
  t.same(rows[0], { label: 'c7', discrete: 0, baseline: 0.9 })
  t.end()
})

test('without a float twin its side of the chart is empty', t => {
  t.same(chartRows(['cat'], answer(cat, null, 1, 1)), [{ label: 'cat', discrete: 0.8, baseline: null }])
  t.end()
})

test('the share of members that agree is a whole number of them', t => {
  t.equal(agreeing({ entropy: 0, mutualInformation: 0, agreement: 0.333333, members: 3 }), 1)
  t.end()
})

test('the sentence says how probable the answer is and who agrees with it', t => {
  t.equal(
    sentence(answer(cat, cat, 8, 1)),
    '80.0% probable. All 8 members agree, and so does the float twin.',
  )
  t.equal(
    sentence(answer(cat, dog, 8, 0.75)),
    '80.0% probable. 6 of 8 members agree, but the float twin says dog (60.0%).',
  )
  t.equal(sentence(answer(cat, null, 8, 0.5)), '80.0% probable. 4 of 8 members agree.')
  t.end()
})

test('the sentence spells out what the chart abbreviates', t => {
  const sure = reading({ cat: 0.99995, dog: 0.00005 })
  t.equal(
    sentence(answer(sure, sure, 8, 1)),
    'More than 99.9% probable. All 8 members agree, and so does the float twin.',
  )
  t.end()
})

test('a model of one member has nobody to agree with but its float twin', t => {
  t.equal(sentence(answer(cat, cat, 1, 1)), '80.0% probable. So says the float twin.')
  t.equal(sentence(answer(cat, dog, 1, 1)), '80.0% probable. But the float twin says dog (60.0%).')
  t.equal(sentence(answer(cat, null, 1, 1)), '80.0% probable.')
  t.end()
})
