import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { writePart } from '../../bench/page.ts'

test('a program replaces its own part of the page, and leaves the others alone', t => {
  const file = join(t.testdir(), 'page.md')
  writePart(file, 'one', 'first')
  writePart(file, 'two', 'second')
  const before = readFileSync(file, 'utf8')
  writePart(file, 'one', 'FIRST\n\nlonger')
  t.equal(readFileSync(file, 'utf8'), before.replace('first', 'FIRST\n\nlonger'))
  writePart(file, 'one', 'first')
  t.equal(readFileSync(file, 'utf8'), before)
  t.match(before, /^# Benchmarks\n/)
  t.ok(before.indexOf('first') < before.indexOf('second'))
  t.end()
})
