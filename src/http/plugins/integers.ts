import type { FastifyInstance } from 'fastify'

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
  app.addHook('preValidation', async request => {
    const { querystring, params } = request.routeOptions.schema ?? {}
    convert(request.query as Record<string, unknown>, querystring as ValuesSchema | undefined)
    convert(request.params as Record<string, unknown>, params as ValuesSchema | undefined)
  })
}

function convert(values: Record<string, unknown>, schema: ValuesSchema | undefined): void {
  for (const [name, { type }] of Object.entries(schema?.properties ?? {})) {
    const text = values[name]
    if (type === 'integer' && typeof text === 'string' && integer.test(text)) values[name] = Number(text)
  }
}
