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
  const distributions = Array.from({ length: members }, (_, member) =>
    softmax(logits.subarray(member * classes, (member + 1) * classes), temperature),
  )
  const probabilities = new Float64Array(classes)
  for (const distribution of distributions) {
    for (let c = 0; c < classes; c++) probabilities[c] += distribution[c]
  }
  for (let c = 0; c < classes; c++) probabilities[c] /= members
  const index = argmax(probabilities)
  const entropy = entropyOf(probabilities)
  const meanEntropy = distributions.reduce((sum, distribution) => sum + entropyOf(distribution), 0) / members
  const agreeing = distributions.filter(distribution => argmax(distribution) === index).length
  return {
    probabilities,
    index,
    entropy,
    // Rounding may leave a mean of equal members a little below them.
    mutualInformation: Math.max(0, entropy - meanEntropy),
    agreement: agreeing / members,
  }
}

/** exp(x / T) over its sum; the largest x is subtracted first, so that nothing overflows. */
export function softmax(logits: Float32Array, temperature: number): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b))
  const powers = Float64Array.from(logits, logit => Math.exp((logit - largest) / temperature))
  const sum = powers.reduce((total, power) => total + power, 0)
  return powers.map(power => power / sum)
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
