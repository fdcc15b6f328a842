import type { ErrorData } from '../errors.ts'
import type { RowReply, RowsReply } from './messages.ts'

/**
 * A batch's answers on their way between threads: the numbers of all answered rows end to end, since objects and arrays
 * of each row take half as long to clone as a small network takes to run.
 */
export interface PackedRows {
  readonly kind: 'packed-rows'
  /** Those that were answered and those that failed. */
  readonly count: number
  readonly compute: number
  readonly baseline: number | null
  readonly members: number
  /** [answered rows, members, classes] */
  readonly logits: Float32Array
  /** [answered rows, the fields + classes]: the probabilities come behind the fields. */
  readonly numbers: Float64Array
  /** Of the baseline, [answered rows, classes] and [answered rows, 1 + classes]: the index, then the probabilities. */
  readonly layers: RowsReply['layers']
  readonly twins: { readonly logits: Float32Array; readonly numbers: Float64Array } | null
  readonly failures: readonly {
    readonly position: number
    readonly decode: number
    readonly error: ErrorData
  }[]
}

/** decode, index, entropy, mutualInformation, agreement */
const FIELDS = 5

/** @param reply whose rows have one number of members, and are all with a baseline or all without */
export function packRows({ rows, compute, baseline, layers }: RowsReply): PackedRows {
  const answered = rows.filter(row => row.ok)
  const [first] = answered
  const classes = first === undefined ? 0 : first.prediction.probabilities.length
  const members = first === undefined ? 0 : first.prediction.uncertainty.members
  const width = FIELDS + classes
  const logits = new Float32Array(answered.length * members * classes)
  const numbers = new Float64Array(answered.length * width)
  answered.forEach(({ decode, prediction }, row) => {
    const { index, probabilities, uncertainty } = prediction
    const { entropy, mutualInformation, agreement } = uncertainty
    logits.set(prediction.logits, row * members * classes)
    numbers.set([decode, index, entropy, mutualInformation, agreement], row * width)
    numbers.set(probabilities, row * width + FIELDS)
  })
  return {
    kind: 'packed-rows',
    count: rows.length,
    compute,
    baseline,
    members,
    logits,
    numbers,
    layers,
    twins: first === undefined || first.baseline === null ? null : packTwins(answered, classes),
    failures: rows.flatMap((row, position) =>
      row.ok ? [] : [{ position, decode: row.decode, error: row.error }],
    ),
  }
}

function packTwins(answered: readonly Extract<RowReply, { readonly ok: true }>[], classes: number) {
  const logits = new Float32Array(answered.length * classes)
  const numbers = new Float64Array(answered.length * (1 + classes))
  answered.forEach(({ baseline }, row) => {
    logits.set(baseline!.logits, row * classes)
    numbers[row * (1 + classes)] = baseline!.index
    numbers.set(baseline!.probabilities, row * (1 + classes) + 1)
  })
  return { logits, numbers }
}

export function unpackRows(packed: PackedRows): RowsReply {
  const { count, compute, baseline, members, logits, numbers, layers, twins, failures } = packed
  const rows: RowReply[] = []
  const answered = count - failures.length
  const width = numbers.length / answered
  const classes = width - FIELDS
  let failed = 0
  for (let position = 0; position < count; position++) {
    if (failures[failed]?.position === position) {
      const { decode, error } = failures[failed++]
      rows.push({ ok: false, decode, error })
      continue
    }
    const row = position - failed
    const at = row * width
    rows.push({
      ok: true,
      decode: numbers[at],
      prediction: {
        logits: logits.subarray(row * members * classes, (row + 1) * members * classes),
        probabilities: numbers.subarray(at + FIELDS, at + width),
        index: numbers[at + 1],
        uncertainty: {
          entropy: numbers[at + 2],
          mutualInformation: numbers[at + 3],
          agreement: numbers[at + 4],
          members,
        },
      },
      baseline: twins === null ? null : twinOf(twins, row, classes),
    })
  }
  return { kind: 'rows', rows, compute, baseline, layers }
}

function twinOf({ logits, numbers }: NonNullable<PackedRows['twins']>, row: number, classes: number) {
  const at = row * (1 + classes)
  return {
    logits: logits.subarray(row * classes, (row + 1) * classes),
    probabilities: numbers.subarray(at + 1, at + 1 + classes),
    index: numbers[at],
  }
}
