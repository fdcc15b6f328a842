import { readFileSync, writeFileSync } from 'node:fs'
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

test('a part that has lost one of its marks is left as it is', t => {
  const file = join(t.testdir(), 'page.md')
  writePart(file, 'one', 'first')
  writePart(file, 'two', 'second')
  const page = readFileSync(file, 'utf8')
  for (const mark of ['<!-- one: begin -->', '<!-- one: end -->']) {
    const broken = page.replace(mark, '')
    writeFileSync(file, broken)
    t.throws(() => writePart(file, 'one', 'FIRST'), {
      message: `${file}: the part one has no begin, or no end`,
    })
    t.equal(readFileSync(file, 'utf8'), broken)
  }
  t.end()
})
