import { test } from 'tap'
import { Holders } from '../../src/serving/holders.ts'

test('a thing is free when the last of its holders has let go', async t => {
  const holders = new Holders<object>()
  const thing = {}
  await holders.free(thing)
  const letGo = [holders.hold(thing), holders.hold(thing)]
  t.equal(holders.has(thing), true)
  let free = false
  const waiting = holders.free(thing).then(() => {
    free = true
  })
  letGo[0]()
  await new Promise(setImmediate)
  t.equal(free, false)
  letGo[1]()
  t.equal(holders.has(thing), false)
  await waiting
})

test('one thing is not held by the holders of another', async t => {
  const holders = new Holders<object>()
  holders.hold({})
  t.equal(holders.has({}), false)
  await holders.free({})
})
