import assert from 'node:assert/strict'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { parseStrictJson } from '../../src/engine/format/strict-json.ts'

function refused(t: Test, text: string, message: RegExp): void {
  t.throws(() => parseStrictJson(text, 'it'), { code: 'MODEL_HEADER_INVALID', message })
}

t.test('any JSON that is written once is read as JSON.parse reads it', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.json({ maxDepth: 5, stringUnit: 'binary' }), text => {
        fc.pre(!text.includes('__proto__'))
        assert.deepEqual(parseStrictJson(text, 'it'), JSON.parse(text))
      }),
    ),
  )
})

t.test('a key twice in an object is refused, however it is written', async t => {
  refused(t, '{"a":1,"a":1}', /^it has the key "a" twice/)
  refused(t, '{"a":{"b":1,"c":"}","b" :2}}', /the key "b" twice/)
  refused(t, '{"a":1,"\\u0061":1}', /the key "a" twice/)
  refused(t, '[{"x\\"":1,"x\\"":2}]', /twice/)
})

t.test('a key may come again in another object, and as a value', async t => {
  const text = '{"a":{"a":["a","a",{"a":"\\"a\\":"}]},"b":{"a":1}}'
  t.strictSame(parseStrictJson(text, 'it'), { a: { a: ['a', 'a', { a: '"a":' }] }, b: { a: 1 } })
})

t.test('a key __proto__ is refused at any depth', async t => {
  refused(t, '{"a":[{"__proto__":{}}]}', /has a key __proto__/)
  refused(t, '{"\\u005f_proto__":1}', /has a key __proto__/)
})

t.test('half of a surrogate pair is refused, a whole one is read', async t => {
  refused(t, '["\\ud83d"]', /half of a surrogate pair/)
  t.strictSame(parseStrictJson('["\\ud83d\\ude00"]', 'it'), ['😀'])
})

t.test('depth is bounded', async t => {
  t.doesNotThrow(() => parseStrictJson('['.repeat(32) + ']'.repeat(32), 'it'))
  refused(t, '['.repeat(33) + ']'.repeat(33), /nested deeper than 32/)
  refused(t, '['.repeat(500_000) + ']'.repeat(500_000), /nested deeper than 32/)
})

t.test('what is not JSON is refused', async t => {
  refused(t, '{', /^it is not JSON/)
  refused(t, '', /is not JSON/)
  refused(t, '{"a":NaN}', /is not JSON/)
})
