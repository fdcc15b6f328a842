import { test } from 'tap'
import { FairQueue, Flow } from '../../src/serving/queue.ts'
import { everyLane, Item, lane, names, place, preparing } from './queueing.ts'

const now = () => 1
const full = (queue: FairQueue<Item>) => names(queue.take(0, everyLane))

/** A queue with one flow. */
function single(limit = 10) {
  const queue = new FairQueue<Item>(0)
  const flow = new Flow<Item>(limit)
  const admit = (into: ReturnType<typeof lane>, ...list: readonly Item[]) =>
    queue.admit(flow, place(into, ...list), now)
  return { queue, flow, admit }
}

test('all that waits in a lane leaves together, in the order of its coming', async t => {
  const { queue, admit } = single()
  admit(lane('a'), new Item('1'), new Item('2'))
  admit(lane('a'), new Item('3'))
  t.same(full(queue), ['1', '2', '3'])
  t.equal(queue.take(0, everyLane), undefined)
})

test('no more leave together than the lane allows, and why they left is said', async t => {
  const { queue, admit } = single()
  admit(lane('a', 2), new Item('1'), new Item('2'), new Item('3'))
  t.match(queue.take(0, everyLane), { items: [{ name: '1' }, { name: '2' }], reason: 'full' })
  t.match(queue.take(0, everyLane), { items: [{ name: '3' }], reason: 'worker' })
})

test('lanes are not mixed, and in a flow the one with the oldest item is the next', async t => {
  const { queue, admit } = single()
  admit(lane('a'), new Item('a1'))
  admit(lane('b'), new Item('b1'))
  admit(lane('a'), new Item('a2'))
  admit(lane('b'), new Item('b2'))
  t.same(full(queue), ['a1', 'a2'])
  t.same(full(queue), ['b1', 'b2'])
})

test('a closed lane is passed over', async t => {
  const { queue, admit } = single()
  admit(lane('a'), new Item('a1'))
  admit(lane('b'), new Item('b1'))
  t.same(names(queue.take(0, ({ key }) => key !== 'a')), ['b1'])
})

test('items beyond the bound are turned away together, with the time until they would fit', async t => {
  const { queue, flow, admit } = single(5)
  const asked: number[] = []
  admit(lane('a'), new Item('1', { cost: 3 }))
  const more = place(lane('a'), new Item('2', { cost: 2 }), new Item('3', { cost: 2 }))
  const retryAfter = (cost: number) => {
    asked.push(cost)
    return 7
  }
  t.throws(() => queue.admit(flow, more, retryAfter), { code: 'QUEUE_FULL', retryAfter: 7 })
  t.same(asked, [2])
  t.equal(queue.cost, 3)
  t.same(full(queue), ['1'])
})

test('the bound is that of the flow: what others send takes none of it', async t => {
  const { queue, admit } = single(5)
  const other = new Flow<Item>(5)
  admit(lane('a'), new Item('1', { cost: 5 }))
  queue.admit(other, place(lane('a'), new Item('2', { cost: 5 })), now)
  t.equal(queue.cost, 10)
  t.throws(() => admit(lane('a'), new Item('3')), { code: 'QUEUE_FULL' })
})

test('items that cannot fit even into an empty queue are refused as such', async t => {
  const { queue, admit } = single(5)
  t.throws(() => admit(lane('a'), new Item('1', { cost: 6 })), { code: 'REQUEST_TOO_LARGE_FOR_QUEUE' })
  admit(lane('a'), new Item('2', { cost: 5 }))
  t.equal(queue.cost, 5)
})

test('removed items leave room, and those behind them move up', async t => {
  const { queue, flow, admit } = single(3)
  const [first, second, third] = [new Item('1'), new Item('2'), new Item('3')]
  admit(lane('a'), first, second, third)
  t.equal(queue.remove(flow, [second]), 1)
  t.equal(queue.cost, 2)
  t.equal(queue.remove(flow, [second]), 0)
  t.same(full(queue), ['1', '3'])
  t.equal(queue.remove(flow, [first, third]), 0)
})

test('an item that comes back keeps its share of the bound and the place of its age', async t => {
  const { queue, flow, admit } = single(3)
  const old = new Item('old')
  admit(preparing, old)
  t.same(full(queue), ['old'])
  t.equal(queue.cost, 1)
  admit(lane('a'), new Item('young'), new Item('younger'))
  t.throws(() => admit(lane('a'), new Item('surplus')), { code: 'QUEUE_FULL' })
  t.equal(queue.comeBack(flow, old, lane('a')), true)
  t.same(full(queue), ['old', 'young', 'younger'])
  t.equal(queue.cost, 0)
})

test('an item that was removed while it was away cannot come back', async t => {
  const { queue, flow, admit } = single(3)
  const away = new Item('away')
  admit(preparing, away)
  queue.take(0, everyLane)
  t.equal(queue.remove(flow, [away]), 1)
  t.equal(queue.cost, 0)
  t.equal(queue.comeBack(flow, away, lane('a')), false)
  t.equal(queue.take(0, everyLane), undefined)
})

test('an item that is put back waits at the place of its age, though there is no room', async t => {
  const { queue, flow, admit } = single(2)
  const old = new Item('old')
  admit(lane('a'), old)
  queue.take(0, everyLane)
  admit(lane('a'), new Item('young'), new Item('younger'))
  queue.putBack(flow, old, lane('a'))
  t.equal(queue.cost, 3)
  t.same(full(queue), ['old', 'young', 'younger'])
  t.equal(queue.cost, 0)
})

test('a lane with a delay leaves when it is full, or when its oldest item has waited so long', async t => {
  const { queue, admit } = single()
  const slow = { ...lane('a', 2), delay: 10 }
  admit(slow, new Item('1', { waitingSince: 100 }))
  t.equal(queue.take(109, everyLane), undefined)
  t.equal(queue.ripeAt(everyLane), 110)
  t.match(queue.take(110, everyLane), { items: [{ name: '1' }], reason: 'delay' })
  t.equal(queue.ripeAt(everyLane), Number.POSITIVE_INFINITY)
  admit(slow, new Item('2', { waitingSince: 120 }), new Item('3', { waitingSince: 120 }))
  t.match(queue.take(120, everyLane), { items: [{ name: '2' }, { name: '3' }], reason: 'full' })
})

test('the flow that has had less is the next, however old the items of the other are', async t => {
  const { queue, admit } = single(100)
  const other = new Flow<Item>(100)
  for (let count = 0; count < 6; count++) admit(lane('a', 1), new Item(`a${count}`, { work: 10 }))
  for (let count = 0; count < 6; count++) {
    queue.admit(other, place(lane('a', 1), new Item(`b${count}`, { work: 5 })), now)
  }
  const order = Array.from({ length: 9 }, () => full(queue)[0])
  t.same(order, ['a0', 'b0', 'b1', 'a1', 'b2', 'b3', 'a2', 'b4', 'b5'])
})

test('a flow that had nothing waiting has saved nothing up', async t => {
  const { queue, admit } = single(100)
  const other = new Flow<Item>(100)
  for (let count = 0; count < 6; count++) admit(lane('a', 1), new Item(`a${count}`, { work: 10 }))
  for (let count = 0; count < 3; count++) full(queue)
  for (let count = 0; count < 3; count++) {
    queue.admit(other, place(lane('a', 1), new Item(`b${count}`, { work: 10 })), now)
  }
  t.same(
    Array.from({ length: 4 }, () => full(queue)[0]),
    ['b0', 'a3', 'b1', 'a4'],
  )
})

test('work that was not foreseen counts, too', async t => {
  const { queue, flow, admit } = single(100)
  const other = new Flow<Item>(100)
  for (let count = 0; count < 3; count++) admit(lane('a', 1), new Item(`a${count}`, { work: 10 }))
  for (let count = 0; count < 3; count++) {
    queue.admit(other, place(lane('a', 1), new Item(`b${count}`, { work: 10 })), now)
  }
  queue.charge(flow, 20)
  t.same(
    Array.from({ length: 4 }, () => full(queue)[0]),
    ['b0', 'b1', 'a0', 'b2'],
  )
})

test('a flow whose items are no work pays for its batches', async t => {
  const queue = new FairQueue<Item>(10)
  const [free, other] = [new Flow<Item>(100), new Flow<Item>(100)]
  for (let count = 0; count < 3; count++) {
    queue.admit(free, place(lane('a', 1), new Item(`free${count}`, { work: 0 })), now)
    queue.admit(other, place(lane('a', 1), new Item(`b${count}`, { work: 10 })), now)
  }
  t.same(
    Array.from({ length: 5 }, () => full(queue)[0]),
    ['free0', 'b0', 'free1', 'b1', 'free2'],
  )
})

test('ahead of a flow are all flows, but no more than its own share of turns', async t => {
  const { queue, flow, admit } = single(100)
  const other = new Flow<Item>(100)
  t.equal(queue.workAhead(flow), 0)
  admit(lane('a'), new Item('1', { work: 10 }))
  t.equal(queue.workAhead(flow), 10)
  queue.admit(other, place(lane('a'), new Item('2', { work: 1000 })), now)
  t.equal(queue.workAhead(flow), 20)
  t.equal(queue.workAhead(other), 1010)
  t.equal(queue.workAhead(new Flow<Item>(100)), 0)
})
