import { test } from 'tap'
import { ratios, spreadOf, takeTurns } from '../../bench/rounds.ts'

test('a spread is the median and the quartiles, whatever the order', t => {
  t.same(spreadOf(Float64Array.of(5, 1, 4, 2, 3)), { lower: 2, median: 3, upper: 4 })
  t.same(spreadOf(Float64Array.of(7)), { lower: 7, median: 7, upper: 7 })
  t.end()
})

test('ratios are taken within a round', t => {
  t.same(ratios(Float64Array.of(6, 20), Float64Array.of(2, 5)), Float64Array.of(3, 4))
  t.end()
})

test('contestants take turns, each of which begins with a call that is not timed', async t => {
  const calls: string[] = []
  const slow = (name: string) => ({
    name,
    run: () => {
      calls.push(name)
      // Longer than the shortest sample, so that one timed call is enough.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)
    },
  })
  const times = await takeTurns([slow('a'), slow('b')], { rounds: 2, warmUpRounds: 1 })
  t.same(calls, ['a', 'a', 'b', 'b', 'a', 'a', 'b', 'b', 'a', 'a', 'b', 'b'])
  t.same(
    times.map(({ length }) => length),
    [2, 2],
  )
})

test('a call that gives a promise lasts until it settles', async t => {
  let running = 0
  const run = async () => {
    t.equal(running, 0)
    running++
    await new Promise(resolve => setTimeout(resolve, 1))
    running--
  }
  const one = { name: 'one', run }
  await takeTurns([one, one], { rounds: 2, warmUpRounds: 0 })
})
