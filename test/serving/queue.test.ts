import fc from 'fast-check'
import { test } from 'tap'
import { AdmissionQueue, type Lane } from '../../src/serving/queue.ts'

interface Item {
  readonly name: string
  readonly cost: number
}

const lane = (key: string, maxItems = 4): Lane => ({ key, maxItems, returning: false })
const preparing: Lane = { key: 'preparing', maxItems: 1, returning: true }
const everyLane = () => true

function names(batch: { readonly items: readonly Item[] } | undefined): readonly string[] {
  return (batch?.items ?? []).map(item => item.name)
}

function place(into: Lane, ...list: readonly Item[]) {
  return list.map(item => ({ item, lane: into }))
}

function item(name: string, cost = 1): Item {
  return { name, cost }
}

test('all that waits in a lane leaves together, in the order of its coming', async t => {
  const queue = new AdmissionQueue<Item>(10, () => 1)
  queue.admit(place(lane('a'), item('1'), item('2')))
  queue.admit(place(lane('a'), item('3')))
  t.same(names(queue.take(everyLane)), ['1', '2', '3'])
  t.equal(queue.take(everyLane), undefined)
})

test('no more leave together than the lane allows', async t => {
  const queue = new AdmissionQueue<Item>(10, () => 1)
  queue.admit(place(lane('a', 2), item('1'), item('2'), item('3')))
  t.same(names(queue.take(everyLane)), ['1', '2'])
  t.same(names(queue.take(everyLane)), ['3'])
})

test('lanes are not mixed, and the one with the oldest item is the next', async t => {
  const queue = new AdmissionQueue<Item>(10, () => 1)
  queue.admit(place(lane('a'), item('a1')))
  queue.admit(place(lane('b'), item('b1')))
  queue.admit(place(lane('a'), item('a2')))
  queue.admit(place(lane('b'), item('b2')))
  t.same(names(queue.take(everyLane)), ['a1', 'a2'])
  t.same(names(queue.take(everyLane)), ['b1', 'b2'])
})

test('a closed lane is passed over', async t => {
  const queue = new AdmissionQueue<Item>(10, () => 1)
  queue.admit(place(lane('a'), item('a1')))
  queue.admit(place(lane('b'), item('b1')))
  t.same(names(queue.take(({ key }) => key !== 'a')), ['b1'])
})

test('items beyond the bound are turned away together, with the time until they would fit', async t => {
  const asked: number[] = []
  const queue = new AdmissionQueue<Item>(5, cost => {
    asked.push(cost)
    return 7
  })
  queue.admit(place(lane('a'), item('1', 3)))
  t.throws(() => queue.admit(place(lane('a'), item('2', 2), item('3', 2))), {
    code: 'QUEUE_FULL',
    retryAfter: 7,
  })
  t.same(asked, [2])
  t.equal(queue.cost, 3)
  t.same(names(queue.take(everyLane)), ['1'])
})

test('items that cannot fit even into an empty queue are refused as such', async t => {
  const queue = new AdmissionQueue<Item>(5, () => 1)
  t.throws(() => queue.admit(place(lane('a'), item('1', 6))), { code: 'REQUEST_TOO_LARGE_FOR_QUEUE' })
  queue.admit(place(lane('a'), item('2', 5)))
  t.equal(queue.cost, 5)
})

test('removed items leave room, and those behind them move up', async t => {
  const queue = new AdmissionQueue<Item>(3, () => 1)
  const [first, second, third] = [item('1'), item('2'), item('3')]
  queue.admit(place(lane('a'), first, second, third))
  t.equal(queue.remove([second]), 1)
  t.equal(queue.cost, 2)
  t.equal(queue.remove([second]), 0)
  t.same(names(queue.take(everyLane)), ['1', '3'])
  t.equal(queue.remove([first, third]), 0)
})

test('an item that comes back keeps its share of the bound and the place of its age', async t => {
  const queue = new AdmissionQueue<Item>(3, () => 1)
  const old = item('old')
  queue.admit(place(preparing, old))
  t.same(names(queue.take(everyLane)), ['old'])
  t.equal(queue.cost, 1)
  queue.admit(place(lane('a'), item('young'), item('younger')))
  t.throws(() => queue.admit(place(lane('a'), item('surplus'))), { code: 'QUEUE_FULL' })
  t.equal(queue.comeBack(old, lane('a')), true)
  t.same(names(queue.take(everyLane)), ['old', 'young', 'younger'])
  t.equal(queue.cost, 0)
})

test('an item that was removed while it was away cannot come back', async t => {
  const queue = new AdmissionQueue<Item>(3, () => 1)
  const away = item('away')
  queue.admit(place(preparing, away))
  queue.take(everyLane)
  t.equal(queue.remove([away]), 1)
  t.equal(queue.cost, 0)
  t.equal(queue.comeBack(away, lane('a')), false)
  t.equal(queue.take(everyLane), undefined)
})

/** What a list that is searched from end to end would do. */
class SlowQueue {
  items: { readonly item: Item; lane: Lane; away: boolean }[] = []

  cost(): number {
    return this.items.reduce((sum, { item }) => sum + item.cost, 0)
  }

  take(): readonly Item[] {
    const first = this.items.find(({ away }) => !away)
    if (first === undefined) return []
    const { lane } = first
    const batch = this.items
      .filter(entry => !entry.away && entry.lane.key === lane.key)
      .slice(0, lane.maxItems)
    if (lane.returning) for (const entry of batch) entry.away = true
    else this.items = this.items.filter(entry => !batch.includes(entry))
    return batch.map(entry => entry.item)
  }
}

const lanes = [lane('a', 3), lane('b', 1), lane('c', 64), preparing]
const operations = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('admit' as const),
      lane: fc.nat(lanes.length - 1),
      costs: fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 5 }),
    }),
    fc.record({ kind: fc.constant('take' as const) }),
    fc.record({ kind: fc.constant('remove' as const), which: fc.nat() }),
    fc.record({ kind: fc.constant('comeBack' as const), which: fc.nat(), lane: fc.nat(2) }),
  ),
  { maxLength: 60 },
)

test('whatever happens, it does as a plain list would, and never holds more than its bound', async () => {
  fc.assert(
    fc.property(operations, fc.integer({ min: 1, max: 40 }), (list, limit) => {
      const queue = new AdmissionQueue<Item>(limit, () => 1)
      const model = new SlowQueue()
      let count = 0
      for (const operation of list) {
        if (operation.kind === 'admit') {
          const items = operation.costs.map(cost => item(`${count++}`, cost))
          const cost = items.reduce((sum, { cost }) => sum + cost, 0)
          const fits = model.cost() + cost <= limit
          const into = lanes[operation.lane]
          let admitted = true
          try {
            queue.admit(place(into, ...items))
          } catch {
            admitted = false
          }
          if (admitted !== fits) return false
          if (fits) model.items.push(...items.map(item => ({ item, lane: into, away: false })))
        } else if (operation.kind === 'take') {
          if (names({ items: model.take() }).join() !== names(queue.take(everyLane)).join()) return false
        } else if (operation.kind === 'remove') {
          const victim = model.items[operation.which % (model.items.length || 1)]
          if (victim === undefined) continue
          model.items = model.items.filter(entry => entry !== victim)
          if (queue.remove([victim.item]) !== 1) return false
        } else {
          const away = model.items.filter(entry => entry.away)
          const returned = away[operation.which % (away.length || 1)]
          if (returned === undefined) continue
          returned.away = false
          returned.lane = lanes[operation.lane]
          if (!queue.comeBack(returned.item, returned.lane)) return false
        }
        if (queue.cost !== model.cost() || queue.cost > limit) return false
      }
      return true
    }),
    { numRuns: 1000 },
  )
})
