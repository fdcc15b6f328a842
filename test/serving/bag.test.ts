import { test } from 'tap'
import { Bag } from '../../src/serving/bag.ts'

test('a bag has what was added to it and was not removed, each as often as it was added', async t => {
  const bag = new Bag<string>()
  const first = bag.add('a')
  const second = bag.add('b')
  const third = bag.add('a')
  t.same(bag.items().toSorted(), ['a', 'a', 'b'])
  bag.remove(first)
  t.same(bag.items().toSorted(), ['a', 'b'])
  bag.remove(second)
  t.same([bag.items(), bag.size], [['a'], 1])
  bag.remove(third)
  t.same([bag.items(), bag.size], [[], 0])
})

test('what is looked at does not change with the bag', async t => {
  const bag = new Bag<string>()
  const place = bag.add('a')
  const items = bag.items()
  bag.remove(place)
  t.same(items, ['a'])
})
