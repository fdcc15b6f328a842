/** The ratios as bars, in an SVG that is legible on white and on black. */

import type { Contest } from './sections/forward.ts'

interface Bar {
  readonly label: string
  readonly ratio: number
  readonly isOurs: boolean
}

const width = 760
const left = 150
const barHeight = 16
const groupGap = 34
const top = 40

/** Times as fast as float32 in ONNX Runtime: each backend, and ONNX Runtime's int8 beside them. */
export function plot(contests: readonly Contest[], rounds: number): string {
  const groups = contests.map(({ network, rows, opponents, passes }) => ({
    title: `${network.name}, ${rows === 1 ? 'one row' : `${rows} rows a call`}`,
    bars: [
      ...passes.map(
        ({ backend, faster }): Bar => ({
          label: backend,
          ratio: faster.float32.median,
          isOurs: true,
        }),
      ),
      { label: 'ORT int8', ratio: opponents.float32.median / opponents.int8.median, isOurs: false },
      { label: 'ORT float32', ratio: 1, isOurs: false },
    ],
  }))
  const largest = Math.max(...groups.flatMap(({ bars }) => bars.map(({ ratio }) => ratio)))
  const scale = (width - left - 70) / largest
  const parts: string[] = []
  let y = top
  for (const { title, bars } of groups) {
    parts.push(`<text class="title" x="0" y="${y + 12}">${title}</text>`)
    y += 20
    for (const { label, ratio, isOurs } of bars) {
      const length = (ratio * scale).toFixed(1)
      const middle = y + barHeight / 2 + 4
      parts.push(
        `<text x="${left - 8}" y="${middle}" text-anchor="end">${label}</text>`,
        `<rect class="${isOurs ? 'ours' : 'theirs'}" x="${left}" y="${y + 1}" width="${length}" height="${barHeight - 2}"/>`,
        `<text x="${(left + ratio * scale + 6).toFixed(1)}" y="${middle}">${ratio.toFixed(1)}×</text>`,
      )
      y += barHeight
    }
    y += groupGap - 20
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" role="img" aria-labelledby="caption">
<title id="caption">How many times as fast as float32 in ONNX Runtime, one thread</title>
<style>
text { font: 12px system-ui, sans-serif; fill: #333 }
.title { font-weight: 600 }
.ours { fill: #2f6fb3 }
.theirs { fill: #999 }
@media (prefers-color-scheme: dark) {
text { fill: #ddd }
.ours { fill: #6ea8e0 }
.theirs { fill: #777 }
}
</style>
<text class="title" x="0" y="16">Times as fast as float32 in ONNX Runtime, one thread, median of ${rounds} rounds</text>
${parts.join('\n')}
</svg>
`
}
