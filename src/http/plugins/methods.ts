import type { FastifyInstance } from 'fastify'

/** The methods that there are at a path; none where there is nothing at all. */
export type MethodsOf = (path: string) => readonly string[]

/** Collects the routes that are added from now on: the router itself knows no address without a method. */
export function collectMethods(app: FastifyInstance): MethodsOf {
  const methods = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url) ?? new Set()
    methods.set(url, known)
    for (const name of [method].flat()) known.add(name)
  })
  return path => {
    const withoutSlash = path.replace(/(.)\/$/, '$1')
    const matching = [...methods].filter(([pattern]) => matches(pattern, withoutSlash))
    return [...new Set(matching.flatMap(([, names]) => [...names]))].sort()
  }
}

/** @param pattern as routes are written: `:name` is one segment, `*` any number of them */
function matches(pattern: string, path: string): boolean {
  const expected = pattern.split('/')
  const segments = path.split('/')
  if (expected.at(-1) === '*') segments.length = Math.min(segments.length, expected.length)
  if (expected.length !== segments.length) return false
  return expected.every(
    (part, index) =>
      part === segments[index] || part === '*' || (part.startsWith(':') && segments[index] !== ''),
  )
}
