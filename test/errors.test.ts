import { test } from 'tap'
import { asXnordError, errorTable, XnordError } from '../src/errors.ts'

test('an error carries the status and title of its code and the detail of the occurrence', t => {
  const error = new XnordError('QUEUE_FULL', '96 rows wait', { retryAfter: 2 })
  t.equal(error.status, 503)
  t.equal(error.title, 'The queue is full')
  t.equal(error.retryAfter, 2)
  t.same(error.data, { code: 'QUEUE_FULL', detail: '96 rows wait' })
  t.end()
})

test('what is not an xnord error is a bug of ours, and keeps its cause', t => {
  const cause = new TypeError('x is undefined')
  const error = asXnordError(cause)
  t.equal(error.code, 'INTERNAL')
  t.equal(error.message, 'x is undefined')
  t.equal(error.cause, cause)
  t.equal(asXnordError('a string').message, 'a string')
  t.equal(asXnordError(error), error)
  t.end()
})

test("a fault of one image is always the sender's", t => {
  for (const [code, entry] of Object.entries(errorTable)) {
    if (entry.group === 'image') t.ok(entry.status >= 400 && entry.status < 500, code)
  }
  t.end()
})
