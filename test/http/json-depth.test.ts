import fc from 'fast-check'
import { test } from 'tap'
import { isNestedDeeper } from '../../src/http/json-depth.ts'

const bytes = (text: string) => Buffer.from(text)

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

test('of any JSON the depth is found exactly', t => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), value => {
      const text = bytes(JSON.stringify(value))
      const depth = depthOf(value)
      t.equal(isNestedDeeper(text, depth), false)
      if (depth > 0) t.equal(isNestedDeeper(text, depth - 1), true)
    }),
  )
  t.end()
})

test('brackets in strings count for nothing, whatever is escaped before them', t => {
  t.equal(isNestedDeeper(bytes('["[[[\\"[[{{\\\\"]'), 1), false)
  t.equal(isNestedDeeper(bytes('["\\\\",[]]'), 1), true)
  t.end()
})
