import type { ErrorData } from '../errors.ts'
import type { RowReply, RowsReply } from './messages.ts'
import type { BaselinePrediction, Prediction } from './types.ts'

/**
 * A batch's answers on their way between threads: the numbers of all answered rows end to end, since objects and arrays
 * of each row take half as long to clone as a small network takes to run. Of a network whose time is null no row has
 * anything.
 */
export interface PackedRows {
  readonly kind: 'packed-rows'
  /** Those that were answered and those that failed. */
  readonly count: number
  readonly compute: number | null
  readonly baseline: number | null
  /** Of the discrete network; 0 where it has not run. */
  readonly members: number
  readonly classes: number
  /** Of each answered row [members, classes] by the discrete network, then [classes] by the baseline. */
  readonly logits: Float32Array
  /** Of each answered row its decoding, then what the discrete network says of it, then what the baseline does. */
  readonly numbers: Float64Array
  readonly layers: RowsReply['layers']
  readonly failures: readonly {
    readonly position: number
    readonly decode: number
    readonly error: ErrorData
  }[]
}

type Answered = Extract<RowReply, { readonly ok: true }>

/** index, entropy, mutualInformation, agreement; the probabilities come behind them */
const DISCRETE = 4

/** index; the probabilities come behind it */
const BASELINE = 1

/** How many logits and numbers a row has, and how many of them are the discrete network's: those that come first. */
function layoutOf({
  compute,
  baseline,
  members,
  classes,
}: Pick<PackedRows, 'compute' | 'baseline' | 'members' | 'classes'>) {
  const discrete = { logits: members * classes, numbers: compute === null ? 0 : DISCRETE + classes }
  const twin =
    baseline === null ? { logits: 0, numbers: 0 } : { logits: classes, numbers: BASELINE + classes }
  return { discrete, logits: discrete.logits + twin.logits, numbers: 1 + discrete.numbers + twin.numbers }
}

/** @param reply whose answered rows have one number of members, and an answer of each network that has a time */
export function packRows({ rows, compute, baseline, layers }: RowsReply): PackedRows {
  const answered = rows.filter(row => row.ok)
  const { members, classes } = sizesOf(answered)
  const layout = layoutOf({ compute, baseline, members, classes })
  const logits = new Float32Array(answered.length * layout.logits)
  const numbers = new Float64Array(answered.length * layout.numbers)
  answered.forEach((row, index) => {
    let at = index * layout.numbers
    numbers[at++] = row.decode
    if (row.prediction !== null) {
      const { index: first, probabilities, uncertainty } = row.prediction
      const { entropy, mutualInformation, agreement } = uncertainty
      logits.set(row.prediction.logits, index * layout.logits)
      numbers.set([first, entropy, mutualInformation, agreement], at)
      numbers.set(probabilities, at + DISCRETE)
      at += layout.discrete.numbers
    }
    if (row.baseline !== null) {
      logits.set(row.baseline.logits, index * layout.logits + layout.discrete.logits)
      numbers[at] = row.baseline.index
      numbers.set(row.baseline.probabilities, at + BASELINE)
    }
  })
  return {
    kind: 'packed-rows',
    count: rows.length,
    compute,
    baseline,
    members,
    classes,
    logits,
    numbers,
    layers,
    failures: rows.flatMap((row, position) =>
      row.ok ? [] : [{ position, decode: row.decode, error: row.error }],
    ),
  }
}

/** Zeros where no row was answered. */
function sizesOf([first]: readonly Answered[]): Pick<PackedRows, 'members' | 'classes'> {
  if (first === undefined) return { members: 0, classes: 0 }
  const { prediction, baseline } = first
  return {
    members: prediction?.uncertainty.members ?? 0,
    classes: (prediction ?? baseline)!.probabilities.length,
  }
}

export function unpackRows(packed: PackedRows): RowsReply {
  const { count, compute, baseline, numbers, layers, failures } = packed
  const layout = layoutOf(packed)
  const rows: RowReply[] = []
  let failed = 0
  for (let position = 0; position < count; position++) {
    if (failures[failed]?.position === position) {
      const { decode, error } = failures[failed++]
      rows.push({ ok: false, decode, error })
      continue
    }
    const row = position - failed
    const logitsAt = row * layout.logits
    const at = row * layout.numbers
    const { discrete } = layout
    rows.push({
      ok: true,
      decode: numbers[at],
      prediction: compute === null ? null : predictionAt(packed, logitsAt, at + 1),
      baseline:
        baseline === null ? null : twinAt(packed, logitsAt + discrete.logits, at + 1 + discrete.numbers),
    })
  }
  return { kind: 'rows', rows, compute, baseline, layers }
}

function predictionAt(
  { members, classes, logits, numbers }: PackedRows,
  logitsAt: number,
  at: number,
): Prediction {
  return {
    logits: logits.subarray(logitsAt, logitsAt + members * classes),
    probabilities: numbers.subarray(at + DISCRETE, at + DISCRETE + classes),
    index: numbers[at],
    uncertainty: {
      entropy: numbers[at + 1],
      mutualInformation: numbers[at + 2],
      agreement: numbers[at + 3],
      members,
    },
  }
}

function twinAt({ classes, logits, numbers }: PackedRows, logitsAt: number, at: number): BaselinePrediction {
  return {
    logits: logits.subarray(logitsAt, logitsAt + classes),
    probabilities: numbers.subarray(at + BASELINE, at + BASELINE + classes),
    index: numbers[at],
  }
}
