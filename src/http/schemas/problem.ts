import { errorTable } from '../../errors.ts'
import { Type } from './type.ts'

const codes = Object.keys(errorTable)

/** Shared by reference: `{ $ref: 'Problem#' }`. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: '`urn:xnord:error:` and the code.' }),
    title: Type.String({ description: 'What the code means; the same for every occurrence.' }),
    status: Type.Integer(),
    detail: Type.String({ description: 'What is wrong with this request.' }),
    instance: Type.String({ description: "The request's id, as the log has it." }),
    code: Type.String({ enum: codes }),
    predictions: Type.Optional(
      Type.Array(Type.Ref('RowError#'), { description: 'Where every row failed: the error of each.' }),
    ),
  },
  { $id: 'Problem', description: 'An error, as RFC 9457 writes it.' },
)

export const InferenceError = Type.Object(
  { error: Type.String(), code: Type.String({ enum: codes }) },
  { $id: 'InferenceError', description: 'An error, as the Open Inference Protocol writes it.' },
)

export const RowError = Type.Object(
  {
    name: Type.Union([Type.String(), Type.Null()]),
    error: Type.Object({
      code: Type.String({ enum: codes }),
      title: Type.String(),
      detail: Type.String(),
    }),
  },
  { $id: 'RowError', description: 'A row that failed alone.' },
)
