import type { FastifyRequest } from 'fastify'
import { XnordError } from '../errors.ts'
import { Type } from './schemas/type.ts'

/** Milliseconds that a deadline may be away: nobody waits for longer. */
export const longestDeadline = 3_600_000

const name = 'x-deadline-ms'

/** For the documentation: of a route that honours the header. */
export const deadlineHeader = {
  'X-Deadline-Ms': Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: longestDeadline,
      description: 'As the parameter `deadline`, for who cannot set that; the earlier one of both holds.',
    }),
  ),
}

/**
 * When nobody waits any more, on the clock of `performance.now()`: by the header, or earlier by a parameter of the
 * request; undefined where neither says so.
 *
 * @param milliseconds from the receipt of the headers
 * @throws PARAMETER_INVALID
 */
export function deadlineOf(
  { headers, receivedAt }: FastifyRequest,
  milliseconds = Number.POSITIVE_INFINITY,
): number | undefined {
  const text = headers[name]
  const earliest = text === undefined ? milliseconds : Math.min(milliseconds, parse(text))
  return earliest === Number.POSITIVE_INFINITY ? undefined : receivedAt + earliest
}

function parse(text: string | string[]): number {
  const value = typeof text === 'string' && /^[1-9]\d{0,6}$/.test(text) ? Number(text) : Number.NaN
  if (value <= longestDeadline) return value
  throw new XnordError(
    'PARAMETER_INVALID',
    `The header ${name} must be an integer from 1 to ${longestDeadline}.`,
  )
}
