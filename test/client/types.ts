/** The client's own types say what the server's schemas do. The compiler is the test: else this file does not compile. */
import type { Static, TSchema } from 'typebox'
import type * as client from '../../src/client/client.ts'
import type { Model } from '../../src/http/schemas/models.ts'
import type {
  BaselinePrediction,
  BaselinePredictionAnswer,
  CompareQuery,
  Comparison,
  ComparisonAnswer,
  Prediction,
  PredictionAnswer,
  PredictQuery,
} from '../../src/http/schemas/predict.ts'
import type { RowError } from '../../src/http/schemas/problem.ts'
import type { RepositoryIndex } from '../../src/http/schemas/v2.ts'

/** What can be read of a value, all the way down. */
type Readable<Value> = Value extends readonly (infer Item)[]
  ? readonly Readable<Item>[]
  : Value extends object
    ? { readonly [Key in keyof Value]: Readable<Value[Key]> }
    : Value

type Of<Schema extends TSchema> = Readable<Static<Schema>>

/** Any object is one to the schema of a model's provenance, so that it is left out. */
type Version<M extends { readonly versions: readonly object[] }> = Omit<M['versions'][number], 'provenance'>

/** The rows are of schemas of their own. */
type Head<Answer> = Omit<Answer, 'predictions'>

/** `true` where each is assignable to the other. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never

export const same: readonly true[] = [
  true satisfies Same<client.Prediction, Of<typeof Prediction>>,
  true satisfies Same<client.BaselinePrediction, Of<typeof BaselinePrediction>>,
  true satisfies Same<client.Comparison, Of<typeof Comparison>>,
  true satisfies Same<client.RowError, Of<typeof RowError>>,
  true satisfies Same<keyof client.Model, keyof Model>,
  true satisfies Same<keyof client.ModelVersion, keyof Model['versions'][number]>,
  true satisfies Same<Version<client.Model>, Version<Of<typeof Model>>>,
  true satisfies Same<readonly client.RepositoryEntry[], Of<typeof RepositoryIndex>>,
  true satisfies Same<Omit<client.PredictOptions<'discrete' | 'baseline'>, 'signal'>, Readable<PredictQuery>>,
  true satisfies Same<Omit<client.CompareOptions, 'signal'>, Of<typeof CompareQuery>>,
  true satisfies Same<Head<client.PredictAnswers['discrete']>, Head<Of<typeof PredictionAnswer>>>,
  true satisfies Same<Head<client.PredictAnswers['baseline']>, Head<Of<typeof BaselinePredictionAnswer>>>,
  true satisfies Same<Head<client.Answer<client.Comparison>>, Head<Of<typeof ComparisonAnswer>>>,
]
