import { test } from 'tap'
import { TurnWatch } from '../../src/http/turn-watch.ts'

/** Turns of an event loop with a clock of their own, of which `limit` is 5 ms. */
function loop() {
  let now = 1000
  const ends: (() => void)[] = []
  const watch = new TurnWatch(
    5,
    task => ends.push(task),
    () => now,
  )
  return {
    /** Reads so many requests, each in so many milliseconds; returns how many were found to be too late. */
    turn(requests: number, each: number): number {
      let behind = 0
      for (let index = 0; index < requests; index++) {
        if (watch.isBehind()) behind++
        now += each
      }
      for (const end of ends.splice(0)) end()
      return behind
    },
    wait(milliseconds: number) {
      now += milliseconds
    },
  }
}

test('short turns are never behind, however many requests they read', t => {
  const { turn } = loop()
  for (let round = 0; round < 100; round++) t.equal(turn(100, 0.04), 0)
  t.end()
})

test('one long turn is borne, as a burst', t => {
  const { turn } = loop()
  t.equal(turn(1000, 0.1), 0)
  t.equal(turn(40, 0.1), 0)
  t.end()
})

test('when turns stay long, what is read late in one is too late', t => {
  const { turn } = loop()
  t.equal(turn(100, 0.1), 0, 'until 10 ms')
  t.equal(turn(100, 0.1), 0, 'until 20 ms')
  // Behind for more than 20 ms: of 100 requests those are too late that are read after 5 ms.
  t.equal(turn(100, 0.1), 49)
  t.equal(turn(100, 0.1), 49)
  t.end()
})

test('a short turn makes good for the long ones before it', t => {
  const { turn } = loop()
  for (let round = 0; round < 3; round++) turn(100, 0.1)
  t.equal(turn(10, 0.1), 0)
  t.equal(turn(100, 0.1), 0)
  t.end()
})

test('a few requests a turn are never too late, however long each takes', t => {
  const { turn } = loop()
  for (let round = 0; round < 10; round++) t.equal(turn(32, 3), 0)
  t.equal(turn(34, 3), 2)
  t.end()
})

test('long turns with pauses between them are bursts, each borne for itself', t => {
  const { turn, wait } = loop()
  for (let round = 0; round < 10; round++) {
    t.equal(turn(200, 0.1), 0)
    wait(6)
  }
  t.end()
})

test('time in which nothing is read belongs to no turn', t => {
  const { turn, wait } = loop()
  for (let round = 0; round < 10; round++) {
    wait(100)
    t.equal(turn(40, 0.1), 0)
  }
  t.end()
})

test('by itself a turn ends with that of the event loop', async t => {
  let now = 0
  const watch = new TurnWatch(5, undefined, () => (now += 0.3))
  const many = () => Array.from({ length: 40 }, () => watch.isBehind()).filter(Boolean).length
  t.equal(many(), 0)
  await new Promise(setImmediate)
  t.equal(many(), 8, 'beyond the few of this turn alone')
  await new Promise(setImmediate)
  t.equal(watch.isBehind(), false)
})
