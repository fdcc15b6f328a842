/** Numbers as people read them. The page's language is English, whatever the browser's. */

const onePlace = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 })
const twoPlaces = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 })
const threeDigits = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 })

/** @param share 0..1; what is not quite none or all is never rounded to it */
export function percent(share: number): string {
  if (share > 0 && share < 0.001) return '<0.1%'
  if (share < 1 && share > 0.999) return '>99.9%'
  return `${onePlace.format(share * 100)}%`
}

/** Milliseconds, in microseconds where there is less than one. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1) return `${threeDigits.format(milliseconds * 1000)} µs`
  return `${threeDigits.format(milliseconds)} ms`
}

export function nats(value: number): string {
  return twoPlaces.format(value)
}

export function bytes(value: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB']
  const power = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), units.length - 1)
  return `${threeDigits.format(value / 1000 ** power)} ${units[power]}`
}

/** A large count, short: 3,290,000 is 3.29M. */
export function count(value: number): string {
  return compact.format(value)
}
