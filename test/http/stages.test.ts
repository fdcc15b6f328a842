import { test } from 'tap'
import { longestStages, serverTiming } from '../../src/http/stages.ts'
import type { RowTimes } from '../../src/serving/types.ts'
import { square } from './fake-service.ts'

const answered = (times: RowTimes) => ({ ...square({ members: 1, networks: 'both' }), times })
const failed = { ok: false, error: { code: 'IMAGE_EMPTY', detail: 'Empty.' } } as const

test('of each stage the longest counts, over the rows that were answered', t => {
  t.same(
    longestStages([
      answered({ queue: 1, decode: 5, compute: 2, baseline: 4 }),
      failed,
      answered({ queue: 3, decode: 4, compute: 1, baseline: 6 }),
    ] as Parameters<typeof longestStages>[0]),
    { queue: 3, decode: 5, compute: 2, baseline: 6 },
  )
  t.same(
    longestStages([
      answered({ queue: 1, decode: 5, compute: null, baseline: 4 }),
      answered({ queue: 3, decode: 4, compute: null, baseline: 6 }),
    ] as Parameters<typeof longestStages>[0]),
    { queue: 3, decode: 5, compute: null, baseline: 6 },
  )
  t.equal(longestStages([failed]), null)
  t.end()
})

test('Server-Timing lists the stages that there were, in milliseconds', t => {
  t.equal(
    serverTiming({ queue: 1, decode: 0.25, compute: 0.0004, baseline: null }),
    'queue;dur=1.000, decode;dur=0.250, compute;dur=0.000',
  )
  t.equal(
    serverTiming({ queue: 1, decode: 2, compute: 3, baseline: 4 }),
    'queue;dur=1.000, decode;dur=2.000, compute;dur=3.000, baseline;dur=4.000',
  )
  t.equal(
    serverTiming({ queue: 1, decode: 2, compute: null, baseline: 4 }),
    'queue;dur=1.000, decode;dur=2.000, baseline;dur=4.000',
  )
  t.end()
})
