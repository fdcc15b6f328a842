import { test } from 'tap'
import { plotBars } from '../../bench/plot.ts'
import { plotOverTime } from '../../bench/time-plot.ts'

const bar = (label: string, value: number) => ({ label, value, text: `${value} ms`, isOurs: true })
const lengths = (svg: string) =>
  [...svg.matchAll(/<rect[^>]* width="([\d.]+)"/g)].map(found => Number(found[1]))

test('bars are as long as their values, on one scale or on one for each group', t => {
  const groups = [
    { title: 'a', bars: [bar('one', 100), bar('two', 50)] },
    { title: 'b', bars: [bar('three', 10)] },
  ]
  const [one, two, three] = lengths(plotBars(groups, { caption: 'both' }))
  t.equal(two, one / 2)
  t.equal(three, one / 10)
  t.same(lengths(plotBars(groups, { caption: 'each', ownScales: true })), [one, one / 2, one])
  t.same(lengths(plotBars([{ title: 'none', bars: [] }], { caption: 'empty' })), [])
  t.end()
})

test('a line goes through its values from left to right, on an axis that begins at 0', t => {
  const svg = plotOverTime({ title: 'Memory', unit: 'MB', values: [0, 100], secondsPerValue: 5, goal: 100 })
  const [, points] = /points="([^"]*)"/.exec(svg)!
  const [first, last] = points.split(' ').map(point => point.split(',').map(Number))
  t.ok(first[0] < last[0])
  t.match(svg, `<line class="axis" x1="${first[0]}" y1="${first[1].toFixed(1)}"`)
  t.match(svg, new RegExp(`<line class="goal" [^>]*y2="${last[1].toFixed(1)}"`))
  t.match(svg, '>5 s</text>')
  t.end()
})

test('what is text in a plot is no markup', t => {
  const groups = [{ title: 'a < b', bars: [bar('<&', 1)] }]
  const svg = plotBars(groups, { caption: 'R&D' })
  t.match(svg, '>a &lt; b</text>')
  t.match(svg, '>&lt;&amp;</text>')
  t.match(svg, '<title id="caption">R&amp;D</title>')
  t.end()
})
