/** Bars in groups, in an SVG that is legible on white and on black. */

import { escaped, svg } from './svg.ts'

export interface Bar {
  readonly label: string
  /** From 0. */
  readonly value: number
  /** What stands behind the bar. */
  readonly text: string
  readonly isOurs: boolean
}

export interface BarGroup {
  readonly title: string
  readonly bars: readonly Bar[]
}

export interface PlotOptions {
  /** Above the bars, and read aloud in their place. */
  readonly caption: string
  /** Each group on a scale of its own: where units or magnitudes differ. */
  readonly ownScales?: boolean
}

const width = 760
const left = 190
const right = 90
const barHeight = 16
const groupGap = 14
const top = 40

export function plotBars(groups: readonly BarGroup[], { caption, ownScales = false }: PlotOptions): string {
  const largestOf = (some: readonly BarGroup[]) =>
    Math.max(...some.flatMap(({ bars }) => bars.map(({ value }) => value)))
  const parts: string[] = []
  let y = top
  for (const group of groups) {
    const scale = (width - left - right) / largestOf(ownScales ? [group] : groups)
    parts.push(`<text class="title" x="0" y="${y + 12}">${escaped(group.title)}</text>`)
    y += 20
    for (const { label, value, text, isOurs } of group.bars) {
      const length = value * scale
      const middle = y + barHeight / 2 + 4
      parts.push(
        `<text x="${left - 8}" y="${middle}" text-anchor="end">${escaped(label)}</text>`,
        `<rect class="${isOurs ? 'ours' : 'theirs'}" x="${left}" y="${y + 1}" width="${length.toFixed(1)}" height="${barHeight - 2}"/>`,
        `<text x="${(left + length + 6).toFixed(1)}" y="${middle}">${escaped(text)}</text>`,
      )
      y += barHeight
    }
    y += groupGap
  }
  const style = '.ours { fill: #2f6fb3 }\n.theirs { fill: #999 }'
  const darkStyle = '.ours { fill: #6ea8e0 }\n.theirs { fill: #777 }'
  return svg({ width, height: y, caption, style, darkStyle, parts })
}
