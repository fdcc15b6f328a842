/**
 * The JSON schemas that TypeBox would make, with its types and without its code: 370 modules, which took 130 of the 950 ms
 * of processor time from the start to ready.
 */

import type * as typebox from 'typebox'

export type { Static, TProperties, TSchema } from 'typebox'

/** Schemas that `Optional` has given: their properties are not required. */
const optional = new WeakSet<object>()

/** What of a schema the compiler sees only stands in TypeBox's types, so that the two are never the same to it. */
function made<Schema extends typebox.TSchema>(schema: object): Schema {
  return schema as Schema
}

export const Type = {
  Unknown: (options: typebox.TSchemaOptions = {}) => made<typebox.TUnknown>({ ...options }),
  Null: () => made<typebox.TNull>({ type: 'null' }),
  Boolean: (options: typebox.TSchemaOptions = {}) => made<typebox.TBoolean>({ type: 'boolean', ...options }),
  Integer: (options: typebox.TNumberOptions = {}) => made<typebox.TInteger>({ type: 'integer', ...options }),
  Number: (options: typebox.TNumberOptions = {}) => made<typebox.TNumber>({ type: 'number', ...options }),
  String: (options: typebox.TStringOptions = {}) => made<typebox.TString>({ type: 'string', ...options }),
  Literal: <Value extends boolean | number | string>(value: Value) =>
    made<typebox.TLiteral<Value>>({ type: typeof value, const: value }),
  Enum: <Values extends string[]>(values: [...Values], options: typebox.TSchemaOptions = {}) =>
    made<typebox.TEnum<Values>>({ enum: values, ...options }),
  /** @param reference the `$id` of a shared schema, and `#` */
  Ref: <Reference extends string>(reference: Reference) => made<typebox.TRef<Reference>>({ $ref: reference }),
  Array: <Item extends typebox.TSchema>(items: Item, options: typebox.TArrayOptions = {}) =>
    made<typebox.TArray<Item>>({ type: 'array', items, ...options }),
  Union: <Types extends typebox.TSchema[]>(anyOf: [...Types], options: typebox.TSchemaOptions = {}) =>
    made<typebox.TUnion<Types>>({ anyOf, ...options }),
  Object: <Properties extends typebox.TProperties>(
    properties: Properties,
    options: typebox.TObjectOptions = {},
  ) => {
    const required = Object.keys(properties).filter(name => !optional.has(properties[name]!))
    return made<typebox.TObject<Properties>>({
      type: 'object',
      ...(required.length > 0 && { required }),
      properties,
      ...options,
    })
  },
  /** A copy of a schema, whose property may be left out. */
  Optional: <Schema extends typebox.TSchema>(schema: Schema) => {
    const copy = { ...schema }
    optional.add(copy)
    return made<typebox.TOptional<Schema>>(copy)
  },
}
