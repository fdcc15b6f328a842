import { test } from 'tap'
import { collectGarbage } from '../../src/serving/garbage.ts'

function forgottenArena(): WeakRef<WebAssembly.Memory> {
  return new WeakRef(new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true }))
}

test('an arena to which nothing refers any more is freed', async t => {
  const arena = forgottenArena()
  // A WeakRef keeps what it refers to until the turn of the event loop ends.
  await new Promise(setImmediate)
  collectGarbage()
  t.equal(arena.deref(), undefined)
})
