import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Collects what this thread needs no more. V8 does not count the shared memory of arenas and files, so it sees no reason
 * to do it by itself: with models that come and go the process would grow by each of them.
 */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
}
