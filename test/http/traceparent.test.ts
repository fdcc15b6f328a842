import { test } from 'tap'
import { traceIdOf } from '../../src/http/traceparent.ts'

const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
const parent = '00f067aa0ba902b7'

test('the trace is named by a traceparent of this version, and of those to come', t => {
  t.equal(traceIdOf(`00-${trace}-${parent}-01`), trace)
  t.equal(traceIdOf(`cc-${trace}-${parent}-01`), trace)
  t.equal(traceIdOf(`cc-${trace}-${parent}-01-what-comes`), trace)
  t.end()
})

test('what is no traceparent names no trace', t => {
  for (const header of [
    undefined,
    [`00-${trace}-${parent}-01`],
    '',
    `00-${trace}-${parent}`,
    `00-${trace}-${parent}-01-more`,
    `00-${trace}-${parent}-1`,
    `cc-${trace}-${parent}-01more`,
    `ff-${trace}-${parent}-01`,
    `00-${'0'.repeat(32)}-${parent}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `00-${trace.toUpperCase()}-${parent}-01`,
    ` 00-${trace}-${parent}-01`,
  ]) {
    t.equal(traceIdOf(header), undefined, String(header))
  }
  t.end()
})
