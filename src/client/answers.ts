/** What the server answers, as its schemas say; a test holds both equal. */

export interface ClassEntry {
  readonly label: string
  /** Place of the label among the model's labels. */
  readonly index: number
  /** 0..1 */
  readonly probability: number
}

/** What one network says of one image. */
export interface Classification extends ClassEntry {
  /** The most probable classes, falling. */
  readonly top: readonly ClassEntry[]
}

export interface Uncertainty {
  /** Of the members' mean distribution, in nats. */
  readonly entropy: number
  /** The part of it on which the members disagree, in nats. */
  readonly mutualInformation: number
  /** Share of the members whose own first class is the answer's, 0..1. */
  readonly agreement: number
  /** How many answered. */
  readonly members: number
}

/** An image that the discrete network has classified. */
export interface Prediction extends Classification {
  /** The file's name; null where it has none. */
  readonly name: string | null
  readonly uncertainty: Uncertainty
}

/** An image that the discrete network's float twin has classified. */
export interface BaselinePrediction extends Classification {
  readonly name: string | null
}

/** An image that the discrete network and its float twin have classified. */
export interface Comparison {
  readonly name: string | null
  /** `milliseconds` is the computing time of the image's batch, divided by its rows. */
  readonly discrete: Classification & { readonly uncertainty: Uncertainty; readonly milliseconds: number }
  readonly baseline: Classification & { readonly milliseconds: number }
}

/** An image that failed while others of its request did not. */
export interface RowError {
  readonly name: string | null
  readonly error: { readonly code: string; readonly title: string; readonly detail: string }
}

/** Who answered, and one entry for each image, in their order. */
export interface Answer<Row> {
  readonly model: string
  readonly version: number
  /** SHA-256 of the model file: the identity of what answered. */
  readonly digest: string
  /** Whose kernels run the discrete network. */
  readonly backend: string
  readonly predictions: readonly (Row | RowError)[]
}

/** What `predict` gives, by the network that was asked. */
export interface PredictAnswers {
  readonly discrete: Answer<Prediction>
  readonly baseline: Answer<BaselinePrediction> & { readonly network: 'baseline' }
}

export interface ModelVersion {
  readonly version: number
  readonly digest: string
  readonly backend: string
  /** What images are brought to, and how. */
  readonly input: {
    readonly height: number
    readonly width: number
    readonly channels: number
    readonly resize: string
  }
  readonly labels: readonly string[]
  /** How many members it has. */
  readonly members: number
  /** How many answer where a request does not say. */
  readonly defaultMembers: number
  /** Whether it has a float twin: for `compare`, and for `predict` with `network: 'baseline'`. */
  readonly baseline: boolean
  /** Sizes of its files. */
  readonly bytes: { readonly model: number; readonly baseline: number | null }
  /** Cost of one image by one member, in operations on 64-bit words. */
  readonly wordOperations: number
  /** The model's own account of its training, accuracy included. */
  readonly provenance: Readonly<Record<string, unknown>>
}

export interface Model {
  readonly name: string
  /** Ascending; the last one answers where a request names none. */
  readonly versions: readonly ModelVersion[]
}

/** A version in the models folder, served or not. */
export interface RepositoryEntry {
  readonly name: string
  readonly version: string
  readonly state: string
  /** Why it is in this state; empty where all is well. */
  readonly reason: string
}
