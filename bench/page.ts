/** docs/benchmarks.md, of which each program writes its own part, and leaves the others alone. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'

const title = '# Benchmarks\n\n<!-- Written by programs, part by part; no figure in it is typed. -->\n'

const begin = (name: string) => `<!-- ${name}: begin -->`
const end = (name: string) => `<!-- ${name}: end -->`

/** Replaces the part of this name, or adds it at the end of the page. */
export function writePart(file: string, name: string, text: string): void {
  const page = existsSync(file) ? readFileSync(file, 'utf8') : title
  const part = `${begin(name)}\n\n${text.trim()}\n\n${end(name)}\n`
  const from = page.indexOf(begin(name))
  const to = page.indexOf(end(name))
  // What lies between is replaced: where a mark is lost, the next one could be another part's.
  if (from < 0 !== to < 0 || to < from) throw new Error(`${file}: the part ${name} has no begin, or no end`)
  if (from < 0) {
    writeFileSync(file, `${page.trimEnd()}\n\n${part}`)
    return
  }
  const rest = page.slice(to + end(name).length).replace(/^\n/, '')
  writeFileSync(file, `${page.slice(0, from)}${part}${rest}`)
}
