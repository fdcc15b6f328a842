import type { FastifyInstance, preValidationHookHandler } from 'fastify'

interface ValuesSchema {
  readonly properties?: Readonly<Record<string, { readonly type?: string }>>
}

/** One way to write a number; more than 15 digits are not all exact. */
const integer = /^(0|[1-9]\d{0,14})$/

/**
 * Makes numbers of the integers in queries and paths, where all values arrive as text, before the schemas validate them.
 * Validation itself coerces nothing: it would take `0x2`, `1e0` and ` 1` for numbers, and in JSON `true` for 1.
 */
export function readIntegers(app: FastifyInstance): void {
  app.addHook('onRoute', route => {
    const inQuery = integersOf(route.schema?.querystring)
    const inPath = integersOf(route.schema?.params)
    if (inQuery.length + inPath.length === 0) return
    const convertAll: preValidationHookHandler = ({ query, params }, _reply, next) => {
      convert(query as Record<string, unknown>, inQuery)
      convert(params as Record<string, unknown>, inPath)
      next()
    }
    route.preValidation = [convertAll, ...[route.preValidation ?? []].flat()]
  })
}

function integersOf(schema: unknown): readonly string[] {
  const { properties = {} } = (schema ?? {}) as ValuesSchema
  return Object.keys(properties).filter(name => properties[name]!.type === 'integer')
}

function convert(values: Record<string, unknown>, names: readonly string[]): void {
  for (const name of names) {
    const text = values[name]
    if (typeof text === 'string' && integer.test(text)) values[name] = Number(text)
  }
}
