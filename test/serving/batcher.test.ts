import fc from 'fast-check'
import { test } from 'tap'
import { Batcher, type Gather, gatherTurn } from '../../src/serving/batcher.ts'
import { type Batch, FairQueue, Flow, type Lane } from '../../src/serving/queue.ts'
import { Item, lane, names, place, preparing } from './queueing.ts'

/** A batcher whose batches stay out until the test lets them return. */
function harness(workers: number, gather: Gather = look => look()) {
  const queue = new FairQueue<Item>(0)
  const flow = new Flow<Item>(1000)
  const out: { readonly names: readonly string[]; readonly finish: () => void }[] = []
  const batcher = new Batcher<Item>(
    queue,
    workers,
    batch => {
      return new Promise<void>(finish => out.push({ names: names(batch), finish }))
    },
    gather,
  )
  const admit = (into: Lane, ...list: readonly string[]) => {
    const items = list.map(name => new Item(name, { waitingSince: performance.now() }))
    queue.admit(flow, place(into, ...items), () => 1)
    batcher.wake()
  }
  return { batcher, out, admit }
}

const settled = () => new Promise(setImmediate)

test('while a worker is free a row leaves at once', async t => {
  const { out, admit } = harness(2)
  admit(lane('a'), '1')
  admit(lane('a'), '2')
  t.same(
    out.map(({ names }) => names),
    [['1'], ['2']],
  )
})

test('while all are busy rows gather, and leave together when one returns', async t => {
  const { out, admit } = harness(1)
  admit(lane('a'), '1')
  admit(lane('a'), '2')
  admit(lane('a'), '3', '4')
  t.equal(out.length, 1)
  out[0].finish()
  await settled()
  t.same(out[1].names, ['2', '3', '4'])
})

test('what arrives in one turn of the event loop leaves together', async t => {
  const { out, admit } = harness(1, gatherTurn)
  admit(lane('a'), '1')
  admit(lane('a'), '2')
  t.same(out, [])
  await settled()
  t.same(
    out.map(({ names }) => names),
    [['1', '2']],
  )
})

test('workers that are free share what waits, but not what waits for a delay', async t => {
  const { out, admit } = harness(3)
  admit(lane('a'), '1', '2', '3', '4', '5')
  t.same(
    out.map(({ names }) => names),
    [['1', '2'], ['3', '4'], ['5']],
  )
  const { out: delayed, admit: admitDelayed } = harness(2)
  admitDelayed({ ...lane('b'), delay: 1000 }, '1', '2', '3', '4')
  t.same(
    delayed.map(({ names }) => names),
    [['1', '2', '3', '4']],
  )
})

test('preparing leaves one worker to those who are ready', async t => {
  const { out, admit } = harness(2)
  admit(preparing, 'p1', 'p2')
  admit(lane('a'), '1')
  t.same(
    out.map(({ names }) => names),
    [['p1'], ['1']],
  )
  out[0].finish()
  await settled()
  t.same(out[2].names, ['p2'])
})

test('a single worker prepares, too', async t => {
  const { out, admit } = harness(1)
  admit(preparing, 'p1')
  t.same(out[0].names, ['p1'])
})

test('a task beside the batches takes one worker from them until it is over, however it ends', async t => {
  const { batcher, out, admit } = harness(1)
  let fail: (error: Error) => void = () => undefined
  const task = batcher.occupy(
    () =>
      new Promise((_, reject) => {
        fail = reject
      }),
  )
  admit(lane('a'), '1')
  t.equal(out.length, 0)
  fail(new Error('it failed'))
  await t.rejects(task, { message: 'it failed' })
  t.same(out[0].names, ['1'])
})

test('a lane with a delay waits for more, though a worker is free, but no longer than that', async t => {
  const { out, admit } = harness(1)
  const slow = { ...lane('a', 2), delay: 5 }
  admit(slow, '1')
  t.equal(out.length, 0)
  admit(slow, '2')
  t.same(out[0].names, ['1', '2'])
  out[0].finish()
  await settled()
  admit(slow, '3')
  while (out.length < 2) await settled()
  t.same(out[1].names, ['3'])
})

test('what is held back leaves when all is to end', async t => {
  const { batcher, out, admit } = harness(1)
  admit({ ...lane('a', 2), delay: 60_000 }, '1')
  t.equal(out.length, 0)
  const idle = batcher.idle()
  t.same(out[0].names, ['1'])
  out[0].finish()
  await idle
})

test('it is idle when the last batch has returned, and only then', async t => {
  const { batcher, out, admit } = harness(1)
  await batcher.idle()
  admit(lane('a', 1), '1', '2')
  let idle = false
  const done = batcher.idle().then(() => {
    idle = true
  })
  out[0].finish()
  await settled()
  t.equal(idle, false)
  out[1].finish()
  await done
  t.equal(idle, true)
})

const requests = fc.array(
  fc.record({
    lane: fc.nat(2),
    rows: fc.integer({ min: 1, max: 6 }),
    prepares: fc.boolean(),
    pause: fc.boolean(),
  }),
  { maxLength: 30 },
)

class Homing extends Item {
  readonly home: Lane

  constructor(name: string, home: Lane) {
    super(name)
    this.home = home
  }
}

test('every row leaves exactly once, in order within its lane, and never more batches than workers', async () => {
  await fc.assert(
    fc.asyncProperty(
      requests,
      fc.integer({ min: 1, max: 3 }),
      fc.infiniteStream(fc.nat(3)),
      async (list, workers, turns) => {
        const lanes = [lane('a', 1), { ...lane('b', 3), delay: 1 }, lane('c', 64)]
        const queue = new FairQueue<Homing>(0)
        const flow = new Flow<Homing>(10_000)
        const left = new Map<string, string[]>()
        const prepared = new Set<string>()
        let out = 0
        let mostOut = 0
        const send = async ({ lane, items }: Batch<Homing>) => {
          mostOut = Math.max(mostOut, ++out)
          const [delay] = [turns.next().value as number]
          for (let turn = 0; turn < delay; turn++) await settled()
          if (lane.returning) {
            for (const item of items) {
              prepared.add(item.name)
              queue.comeBack(flow, item, item.home)
            }
          } else left.set(lane.key, [...(left.get(lane.key) ?? []), ...items.map(item => item.name)])
          out--
        }
        const batcher = new Batcher(queue, workers, send, look => look())
        const direct = new Map<string, string[]>()
        const everything: string[] = []
        let count = 0
        for (const { lane: index, rows, prepares, pause } of list) {
          const home = lanes[index]
          const items = Array.from({ length: rows }, () => new Homing(`${count++}`, home))
          const admitted = items.map(item => ({ item, lane: prepares ? preparing : home }))
          queue.admit(flow, admitted, () => 1)
          everything.push(...items.map(({ name }) => name))
          if (!prepares) {
            direct.set(home.key, [...(direct.get(home.key) ?? []), ...items.map(({ name }) => name)])
          }
          batcher.wake()
          if (pause) await settled()
        }
        await batcher.idle()
        const all = [...left.values()].flat()
        // Batches of one lane may overtake one another in different workers, but they are handed over in order.
        const once = all.length === everything.length && new Set(all).size === all.length
        const inOrder =
          workers > 1 ||
          [...direct].every(([key, names]) => {
            const order = (left.get(key) ?? []).filter(name => !prepared.has(name))
            return order.join() === names.join()
          })
        return once && inOrder && mostOut <= workers && queue.cost === 0
      },
    ),
    { numRuns: 200 },
  )
})
