import fc from 'fast-check'
import { test } from 'tap'
import { metric, multipart, testApp } from './helper.ts'

const { method, headers, payload } = multipart([
  { filename: 'a.png', content: 'first' },
  { name: 'other', filename: 'b.png', content: 'second' },
])

/** One change somewhere in the bytes: cut, overwritten, removed, or doubled. */
const mutation = fc.record({
  kind: fc.constantFrom('cut', 'overwrite', 'remove', 'double'),
  at: fc.nat(payload.length - 1),
  length: fc.integer({ min: 1, max: 40 }),
  byte: fc.nat(255),
})

function mutate(
  bytes: Buffer,
  { kind, at, length, byte }: { kind: string; at: number; length: number; byte: number },
) {
  const before = bytes.subarray(0, at)
  const rest = bytes.subarray(at)
  switch (kind) {
    case 'cut':
      return before
    case 'overwrite':
      return Buffer.concat([before, Buffer.alloc(1, byte), rest.subarray(1)])
    case 'remove':
      return Buffer.concat([before, rest.subarray(length)])
    default:
      return Buffer.concat([before, rest.subarray(0, length), rest])
  }
}

test('a multipart body with damage anywhere is answered, never with 500, and leaves nothing held', async t => {
  const { app } = await testApp(t)
  await t.resolves(
    fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 3 }), async mutations => {
        const damaged = mutations.reduce(mutate, payload)
        const answer = await app.inject({ method, headers, url: '/predict', payload: damaged })
        return [200, 400, 413].includes(answer.statusCode)
      }),
      { numRuns: 300 },
    ),
  )
  t.equal(await metric(app, 'xnord_held_bytes'), 0)
})

test('any JSON is answered by infer, never with 500', async t => {
  const { app } = await testApp(t)
  const tensor = fc.record(
    {
      name: fc.constantFrom('image', 'x'),
      datatype: fc.constantFrom('UINT8', 'BYTES', 'FP32'),
      shape: fc.array(fc.nat(4)),
      data: fc.array(fc.jsonValue()),
    },
    { requiredKeys: [] },
  )
  const body = fc.oneof(
    fc.jsonValue(),
    fc.record(
      {
        inputs: fc.array(tensor),
        outputs: fc.oneof(fc.jsonValue(), fc.array(fc.record({ name: fc.string() }))),
        parameters: fc.jsonValue(),
        id: fc.jsonValue(),
      },
      { requiredKeys: ['inputs'] },
    ),
  )
  await t.resolves(
    fc.assert(
      fc.asyncProperty(body, async payload => {
        const answer = await app.inject({
          method: 'POST',
          url: '/v2/models/shapes/infer',
          payload: JSON.stringify(payload),
        })
        return [200, 400].includes(answer.statusCode)
      }),
      { numRuns: 300 },
    ),
  )
})

test('any query is answered, never with 500', async t => {
  const { app } = await testApp(t)
  const name = fc.oneof(fc.constantFrom('model', 'version', 'top', 'members', 'deadline'), fc.string())
  const value = fc.oneof(fc.string(), fc.integer().map(String), fc.double().map(String))
  await t.resolves(
    fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 4 }), async pairs => {
        const query = new URLSearchParams(pairs).toString()
        const answer = await app.inject({ method, headers, payload, url: `/predict?${query}` })
        return [200, 400, 404].includes(answer.statusCode)
      }),
      { numRuns: 300 },
    ),
  )
})
