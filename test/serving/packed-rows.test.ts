import fc from 'fast-check'
import { test } from 'tap'
import type { RowReply } from '../../src/serving/messages.ts'
import { packRows, unpackRows } from '../../src/serving/packed-rows.ts'

const number = fc.double({ noNaN: true })
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(model, { noNullPrototype: true })

/** Rows as one batch has them: of one number of members and classes, and answered by the same networks. */
const replies = record({
  members: fc.integer({ min: 1, max: 3 }),
  classes: fc.integer({ min: 1, max: 4 }),
  networks: fc.constantFrom('discrete', 'baseline', 'both'),
}).chain(({ members, classes, networks }) => {
  const only = <T>(asked: boolean, value: fc.Arbitrary<T>) => (asked ? value : fc.constant(null))
  const floats = (length: number) => fc.float32Array({ minLength: length, maxLength: length, noNaN: true })
  const doubles = (length: number) => fc.float64Array({ minLength: length, maxLength: length, noNaN: true })
  const answered: fc.Arbitrary<RowReply> = record({
    ok: fc.constant(true as const),
    decode: number,
    prediction: only(
      networks !== 'baseline',
      record({
        logits: floats(members * classes),
        probabilities: doubles(classes),
        index: fc.nat(classes - 1),
        uncertainty: record({
          entropy: number,
          mutualInformation: number,
          agreement: number,
          members: fc.constant(members),
        }),
      }),
    ),
    baseline: only(
      networks !== 'discrete',
      record({ logits: floats(classes), probabilities: doubles(classes), index: fc.nat(classes - 1) }),
    ),
  })
  const failed: fc.Arbitrary<RowReply> = record({
    ok: fc.constant(false as const),
    decode: number,
    error: fc.constant({ code: 'IMAGE_MALFORMED' as const, detail: 'It ends too early.' }),
  })
  return record({
    kind: fc.constant('rows' as const),
    rows: fc.array(fc.oneof(answered, failed), { minLength: 1, maxLength: 6 }),
    compute: only(networks !== 'baseline', number),
    baseline: only(networks !== 'discrete', number),
    layers: fc.array(fc.uint8Array()),
  })
})

test('answers come out as they went in, whichever rows failed', t => {
  fc.assert(
    fc.property(replies, reply => {
      t.strictSame(unpackRows(structuredClone(packRows(reply))), reply)
    }),
  )
  t.end()
})
