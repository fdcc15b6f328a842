import fc from 'fast-check'
import { test } from 'tap'
import { type Batch, FairQueue, Flow, type Lane } from '../../src/serving/queue.ts'
import { everyLane, Item, lane, names, place, preparing } from './queueing.ts'

const retryAfter = () => 1

interface Kept {
  readonly item: Item
  lane: Lane
  away: boolean
}

/** What a list that is searched from end to end would do with one flow. */
class SlowQueue {
  items: Kept[] = []
  left: Kept[] = []

  get cost(): number {
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
    else {
      this.items = this.items.filter(entry => !batch.includes(entry))
      this.left.push(...batch)
    }
    return batch.map(entry => entry.item)
  }

  putBack(entry: Kept): void {
    this.left = this.left.filter(other => other !== entry)
    this.items.push(entry)
    this.items.sort((one, other) => Number(one.item.name) - Number(other.item.name))
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
    fc.record({ kind: fc.constant('putBack' as const), which: fc.nat() }),
  ),
  { maxLength: 60 },
)

function pick<T>(list: readonly T[], which: number): T | undefined {
  return list[which % (list.length || 1)]
}

test('whatever happens to it, a flow does as a plain list would, and admits no more than its bound', async () => {
  fc.assert(
    fc.property(operations, fc.integer({ min: 1, max: 40 }), (list, limit) => {
      const queue = new FairQueue<Item>(0)
      const flow = new Flow<Item>(limit)
      const model = new SlowQueue()
      let count = 0
      for (const operation of list) {
        if (operation.kind === 'admit') {
          const items = operation.costs.map(cost => new Item(`${count++}`, { cost }))
          const cost = items.reduce((sum, { cost }) => sum + cost, 0)
          const fits = cost <= limit && model.cost + cost <= limit
          const into = lanes[operation.lane]
          let admitted = true
          try {
            queue.admit(flow, place(into, ...items), retryAfter)
          } catch {
            admitted = false
          }
          if (admitted !== fits) return false
          if (fits) model.items.push(...items.map(item => ({ item, lane: into, away: false })))
        } else if (operation.kind === 'take') {
          const taken = names(queue.take(0, everyLane))
          if (
            taken.join() !==
            model
              .take()
              .map(({ name }) => name)
              .join()
          )
            return false
        } else if (operation.kind === 'remove') {
          const victim = pick(model.items, operation.which)
          if (victim === undefined) continue
          model.items = model.items.filter(entry => entry !== victim)
          if (queue.remove(flow, [victim.item]) !== 1) return false
        } else if (operation.kind === 'putBack') {
          const lost = pick(model.left, operation.which)
          if (lost === undefined) continue
          model.putBack(lost)
          queue.putBack(flow, lost.item, lost.lane)
        } else {
          const returned = pick(
            model.items.filter(entry => entry.away),
            operation.which,
          )
          if (returned === undefined) continue
          returned.away = false
          returned.lane = lanes[operation.lane]
          if (!queue.comeBack(flow, returned.item, returned.lane)) return false
        }
        if (queue.cost !== model.cost || flow.cost !== queue.cost) return false
      }
      return true
    }),
    { numRuns: 1000 },
  )
})

/** Rows of one model: how much work each is, and how many of them leave together. */
const traffic = fc.array(
  fc.record({
    work: fc.integer({ min: 1, max: 100 }),
    rows: fc.integer({ min: 1, max: 60 }),
    maxItems: fc.integer({ min: 1, max: 16 }),
  }),
  { minLength: 2, maxLength: 5 },
)

test('two flows that both wait are never apart by more than a batch of each; all leaves, in order', async () => {
  fc.assert(
    fc.property(traffic, list => {
      const queue = new FairQueue<Item>(0)
      const flows = list.map(({ work, rows, maxItems }, index) => {
        const flow = new Flow<Item>(1000)
        const items = Array.from({ length: rows }, (_, row) => new Item(`${index}/${row}`, { work }))
        queue.admit(flow, place(lane('a', maxItems), ...items), retryAfter)
        return { flow, names: items.map(({ name }) => name), largest: work * maxItems }
      })
      const left = new Map(flows.map(({ flow }) => [flow, [] as string[]]))
      const done = new Map(flows.map(({ flow }) => [flow, [0]]))
      const batches: Batch<Item>[] = []
      for (let batch = queue.take(0, everyLane); batch; batch = queue.take(0, everyLane)) {
        batches.push(batch)
        left.get(batch.flow)!.push(...names(batch))
        const work = batch.items.reduce((sum, item) => sum + item.work, 0)
        for (const [flow, sums] of done) sums.push(sums.at(-1)! + (flow === batch.flow ? work : 0))
      }
      const complete = flows.every(({ flow, names }) => left.get(flow)!.join() === names.join())
      const fair = flows.every(one =>
        flows.every(other => {
          const [ours, theirs] = [done.get(one.flow)!, done.get(other.flow)!]
          // Both waited from the beginning until the first of them had nothing left.
          const end = Math.min(...[one, other].map(({ flow }) => batches.findLastIndex(b => b.flow === flow)))
          for (let from = 0; from <= end; from++) {
            for (let to = from; to <= end; to++) {
              const apart = ours[to] - ours[from] - (theirs[to] - theirs[from])
              if (apart > one.largest + other.largest) return false
            }
          }
          return true
        }),
      )
      return complete && fair
    }),
    { numRuns: 500 },
  )
})

test('whatever the others send, a flow that begins to wait is served before each of them has had two batches', async () => {
  fc.assert(
    fc.property(traffic, fc.nat(20), (list, past) => {
      const queue = new FairQueue<Item>(0)
      const [late, ...others] = list.map(({ work, maxItems }) => ({
        flow: new Flow<Item>(100_000),
        work,
        maxItems,
      }))
      const fill = ({ flow, work, maxItems }: typeof late, batches: number) => {
        const items = Array.from({ length: batches * maxItems }, () => new Item('', { work }))
        queue.admit(flow, place(lane('a', maxItems), ...items), retryAfter)
      }
      for (const other of others) fill(other, past + 200)
      for (let count = 0; count < past; count++) queue.take(0, everyLane)
      fill(late, 1)
      const before = new Map<Flow<Item>, number>()
      for (
        let batch = queue.take(0, everyLane)!;
        batch.flow !== late.flow;
        batch = queue.take(0, everyLane)!
      ) {
        before.set(batch.flow, (before.get(batch.flow) ?? 0) + 1)
      }
      return [...before.values()].every(batches => batches < 2)
    }),
    { numRuns: 500 },
  )
})
