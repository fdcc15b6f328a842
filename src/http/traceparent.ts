/** W3C Trace Context: version, trace id, parent id, flags; a version to come may add to them, and ff is none. */
const pattern = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/

/** The id of the trace that a request belongs to; undefined where its header `traceparent` names none. */
export function traceIdOf(header: string | string[] | undefined): string | undefined {
  if (typeof header !== 'string') return undefined
  const match = pattern.exec(header)
  // The first version has nothing after the flags.
  return match === null || (header.startsWith('00') && header.length > 55) ? undefined : match[1]
}
