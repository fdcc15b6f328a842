/** Logits to an answer: float64 throughout, natural logarithms, sums in index order. */

/** What the members say of one row. */
export interface Answer {
  /** float64 [classes]: the mean over the members of softmax(logits / temperature). */
  readonly probabilities: Float64Array
  /** The most probable class; ties go to the lowest index. */
  readonly index: number
  /** Of the mean, in nats. */
  readonly entropy: number
  /** Entropy of the mean less the mean entropy of the members, in nats, ≥ 0. */
  readonly mutualInformation: number
  /** Share of the members whose own first class is `index`, 0..1. */
  readonly agreement: number
}

/**
 * @param logits float32 [members, classes], one row, finite
 * @param members 1 or more
 * @param temperature > 0
 */
export function answer(logits: Float32Array, members: number, temperature: number): Answer {
  const classes = logits.length / members
  const probabilities = new Float64Array(classes)
  // Of each member in turn.
  const distribution = new Float64Array(classes)
  const firsts = new Uint32Array(members)
  let entropies = 0
  for (let member = 0; member < members; member++) {
    softmax(logits, member * classes, temperature, distribution)
    for (let c = 0; c < classes; c++) probabilities[c] += distribution[c]
    entropies += entropyOf(distribution)
    firsts[member] = argmax(distribution)
  }
  for (let c = 0; c < classes; c++) probabilities[c] /= members
  const index = argmax(probabilities)
  const entropy = entropyOf(probabilities)
  let agreeing = 0
  for (const first of firsts) if (first === index) agreeing++
  return {
    probabilities,
    index,
    entropy,
    // Rounding may leave a mean of equal members a little below them.
    mutualInformation: Math.max(0, entropy - entropies / members),
    agreement: agreeing / members,
  }
}

/**
 * exp(x / T) over its sum; the largest x is subtracted first, so that nothing overflows.
 *
 * @param begin of the logits, as many as `out` takes
 */
function softmax(logits: Float32Array, begin: number, temperature: number, out: Float64Array): void {
  const classes = out.length
  let largest = Number.NEGATIVE_INFINITY
  for (let c = 0; c < classes; c++) largest = Math.max(largest, logits[begin + c])
  let sum = 0
  for (let c = 0; c < classes; c++) {
    out[c] = Math.exp((logits[begin + c] - largest) / temperature)
    sum += out[c]
  }
  for (let c = 0; c < classes; c++) out[c] /= sum
}

/** The index of the largest; the lowest of them where several are. */
function argmax(values: Float64Array): number {
  let best = 0
  for (let index = 1; index < values.length; index++) {
    if (values[index] > values[best]) best = index
  }
  return best
}

function entropyOf(probabilities: Float64Array): number {
  let entropy = 0
  for (const p of probabilities) {
    if (p > 0) entropy -= p * Math.log(p)
  }
  return entropy
}
