/** One quantity over time as a line, in an SVG that is legible on white and on black. */

import { svg } from './svg.ts'

export interface TimePlot {
  readonly title: string
  /** Of the quantity. */
  readonly unit: string
  /** One value every so many seconds. */
  readonly values: readonly number[]
  readonly secondsPerValue: number
  /** Drawn as a dashed line. */
  readonly goal: number
}

const width = 760
const height = 260
const left = 44
const right = 60
const top = 40
const bottom = 30

/** The quantity's axis begins at 0, so that what looks flat is. */
export function plotOverTime({ title, unit, values, secondsPerValue, goal }: TimePlot): string {
  const seconds = secondsPerValue * Math.max(1, values.length - 1)
  const largest = 1.1 * Math.max(goal, ...values)
  const x = (second: number) => (left + (second / seconds) * (width - left - right)).toFixed(1)
  const y = (value: number) => (height - bottom - (value / largest) * (height - top - bottom)).toFixed(1)
  const line = values.map((value, index) => `${x(index * secondsPerValue)},${y(value)}`).join(' ')
  const marks = [0, 0.25, 0.5, 0.75, 1].map(share => {
    const second = Math.round(share * seconds)
    return `<text x="${x(second)}" y="${height - 10}" text-anchor="middle">${second} s</text>`
  })
  const style = `.axis, .goal { stroke: #999; stroke-width: 1 }
.goal { stroke-dasharray: 4 4 }
.line { fill: none; stroke: #2f6fb3; stroke-width: 2 }`
  const last = values.at(-1) ?? 0
  const end = width - right
  const parts = [
    `<line class="axis" x1="${left}" y1="${y(0)}" x2="${end}" y2="${y(0)}"/>`,
    `<text x="${left - 8}" y="${y(0)}" text-anchor="end">0</text>`,
    `<line class="goal" x1="${left}" y1="${y(goal)}" x2="${end}" y2="${y(goal)}"/>`,
    `<text x="${left - 8}" y="${y(goal)}" text-anchor="end">${goal}</text>`,
    `<text x="${end + 6}" y="${y(goal)}">goal</text>`,
    `<polyline class="line" points="${line}"/>`,
    `<text x="${end + 6}" y="${y(last)}">${Math.round(last)}</text>`,
    ...marks,
  ]
  const caption = `${title}, ${unit}`
  return svg({ width, height, caption, style, darkStyle: '.line { stroke: #6ea8e0 }', parts })
}
