import type { Counter, Histogram, Registry } from 'prom-client'

type Labels = Readonly<Record<string, string>>

/** What prom-client's registry asks of a metric. */
interface Rendered {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly values: readonly { readonly labels: object }[]
}

/**
 * A family of metrics as one metric without labels for each series, to which its labels are added when it is read.
 * prom-client itself checks, sorts and joins them at each observation, and all of a request's together take as long as
 * a small network.
 */
export class Family<Series extends Counter | Histogram> {
  readonly name: string
  readonly help: string
  readonly #create: () => Series
  readonly #series = new Map<string, { readonly labels: Labels; readonly metric: Series }>()

  /** @param create makes a series, not registered */
  constructor(name: string, help: string, create: () => Series, registry: Registry) {
    this.name = name
    this.help = help
    this.#create = create
    registry.registerMetric(this as unknown as Series)
  }

  /** One series, which is there from then on. */
  with(labels: Labels): Series {
    const key = JSON.stringify(labels)
    const known = this.#series.get(key) ?? { labels, metric: this.#create() }
    this.#series.set(key, known)
    return known.metric
  }

  /** For the registry. */
  async get(): Promise<Rendered> {
    const parts = await Promise.all(
      Array.from(this.#series.values(), async ({ labels, metric }) => {
        const { type, values } = (await metric.get()) as unknown as Rendered
        return { type, values: values.map(value => ({ ...value, labels: { ...value.labels, ...labels } })) }
      }),
    )
    const type = parts[0]?.type ?? 'untyped'
    return { name: this.name, help: this.help, type, values: parts.flatMap(({ values }) => values) }
  }
}
