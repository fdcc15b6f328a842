import type { Spread } from './rounds.ts'

/** A cell begins with a minus sign or a digit where all of its column are numbers, and the column is aligned right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const rule = head.map((_, column) =>
    rows.every(row => /^([-−\d(–]|$)/.test(row[column])) ? '---:' : '---',
  )
  return [line(head), line(rule), ...rows.map(line)].join('\n')
}

/** Three significant digits, without an exponent. */
export function digits(value: number): string {
  return String(Number(value.toPrecision(3)))
}

export function times(ratio: Spread): string {
  return `${digits(ratio.median)}× (${digits(ratio.lower)}–${digits(ratio.upper)})`
}

/** @param unit of the result in those of the spread, 1000 for microseconds from milliseconds */
export function spread({ median, lower, upper }: Spread, unit = 1): string {
  return `${digits(median * unit)} (${digits(lower * unit)}–${digits(upper * unit)})`
}

/** Of what takes time, as a difference between times, which noise can hide. */
export function cost(difference: Spread): string {
  return difference.lower > 0 ? spread(difference) : '(not resolved)'
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`
}

/** Without marks of code, for where they would be shown. */
export function plain(markdown: string): string {
  return markdown.replaceAll('`', '')
}

export function verdict(met: boolean): string {
  return met ? 'yes' : '**no**'
}
