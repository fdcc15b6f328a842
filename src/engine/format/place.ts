/** Checked reading of parsed JSON: each failure names the path at which it was met. */

import { type ErrorCode, XnordError } from '../../errors.ts'
import { isRecord } from './strict-json.ts'

/** Where in the model's JSON a value lies, and what to call it when the value is wrong. */
export interface Place {
  readonly code: ErrorCode
  readonly path: string
}

export function fail({ code, path }: Place, problem: string): never {
  throw new XnordError(code, `${path} ${problem}`)
}

export function inside(place: Place, key: string | number): Place {
  const step = typeof key === 'number' ? `[${key}]` : place.path === '' ? key : `.${key}`
  return { code: place.code, path: place.path + step }
}

/** An object with all of the required keys and, of others, only optional ones. */
export function readObject(
  value: unknown,
  place: Place,
  required: readonly string[],
  optional: readonly string[] = [],
): Readonly<Record<string, unknown>> {
  if (!isRecord(value)) return fail(place, 'is not an object')
  for (const key of Object.keys(value)) {
    if (!required.includes(key) && !optional.includes(key)) fail(inside(place, key), 'is unknown')
  }
  for (const key of required) {
    if (!Object.hasOwn(value, key)) fail(inside(place, key), 'is missing')
  }
  return value
}

export function readList(value: unknown, place: Place, low: number, high: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length < low || value.length > high) {
    return fail(place, low === high ? `is not a list of ${low}` : `is not a list of ${low} to ${high}`)
  }
  return value
}

export function readInteger(value: unknown, place: Place, low: number, high: number): number {
  if (!Number.isInteger(value) || Number(value) < low || Number(value) > high) {
    return fail(place, `is not an integer from ${low} to ${high}`)
  }
  return Number(value)
}

export function readText(value: unknown, place: Place): string {
  return typeof value === 'string' ? value : fail(place, 'is not a string')
}

export function readChoice<const T>(value: unknown, place: Place, choices: readonly T[]): T {
  const choice = choices.find(one => one === value)
  return choice ?? fail(place, `is not one of ${choices.map(one => JSON.stringify(one)).join(', ')}`)
}
