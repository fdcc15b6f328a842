import { XnordError } from '../../errors.ts'

/** Deeper than any model needs, and shallow enough for every program that walks the value by recursion. */
const MAX_DEPTH = 32

/** In valid JSON: every string, with what makes it a key, and every bracket. */
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[{}[\]]/g

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * JSON without its traps: no key twice in an object (readers differ in which one holds), none called `__proto__`
 * (careless copying makes it a prototype), no half of a surrogate pair (UTF-8 cannot hold it), bounded depth.
 *
 * @param place what the text is, for the error's detail
 * @throws MODEL_HEADER_INVALID
 */
export function parseStrictJson(text: string, place: string): unknown {
  const fail = (problem: string, options?: ErrorOptions): never => {
    throw new XnordError('MODEL_HEADER_INVALID', `${place} ${problem}`, options)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    fail('is not JSON', { cause })
  }
  const open: (Set<string> | null)[] = []
  for (const [token, colon] of text.matchAll(TOKENS)) {
    if (token === '{' || token === '[') {
      if (open.push(token === '{' ? new Set() : null) > MAX_DEPTH) fail(`is nested deeper than ${MAX_DEPTH}`)
    } else if (token === '}' || token === ']') {
      open.pop()
    } else {
      const string: string = JSON.parse(colon === undefined ? token : token.slice(0, -colon.length))
      if (/\p{Surrogate}/u.test(string)) fail('holds half of a surrogate pair')
      const keys = open.at(-1)
      if (colon === undefined || !keys) continue
      if (string === '__proto__') fail('has a key __proto__')
      if (keys.has(string)) fail(`has the key ${JSON.stringify(string)} twice in one object`)
      keys.add(string)
    }
  }
  return value
}
