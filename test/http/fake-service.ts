import { XnordError } from '../../src/errors.ts'
import type {
  PredictRequest,
  RepositoryEntry,
  Row,
  RowAnswer,
  ServedModel,
  Service,
  ServiceState,
} from '../../src/serving/types.ts'

/** Two pixels high and wide, grey, three classes: small enough to be written out in a test. */
export const shapes: ServedModel = {
  name: 'shapes',
  version: 2,
  digest: 'd'.repeat(64),
  backend: 'wasm',
  input: { height: 2, width: 2, channels: 1, resize: 'stretch' },
  labels: ['circle', 'square', 'star'],
  layers: [
    { name: 'conv1', type: 'bits', height: 2, width: 1, channels: 3 },
    { name: 'fc1', type: 'bits', height: 1, width: 1, channels: 4 },
    { name: 'pool', type: 'floats', height: 1, width: 2, channels: 1 },
    { name: 'logits', type: 'floats', height: 1, width: 1, channels: 3 },
  ],
  members: 4,
  defaultMembers: 2,
  hasBaseline: true,
  maxRows: 64,
  wordOperations: 1234,
  bytes: { model: 5000, baseline: 9000 },
  provenance: { accuracy: { test: 0.99, n: 100 } },
}

/** What the test double answers for one row; throw to fail the request. */
export type Answerer = (row: Row, request: PredictRequest) => RowAnswer | Promise<RowAnswer>

/** The discrete network says `square` with 0.7, by members that all say so; the baseline says `star`. */
export function square(request: Pick<PredictRequest, 'members' | 'networks'>): RowAnswer {
  const asked = (network: 'discrete' | 'baseline') => [network, 'both'].includes(request.networks)
  return {
    ok: true,
    prediction: asked('discrete')
      ? {
          logits: Float32Array.from({ length: request.members * 3 }, (_, index) => index / 2),
          probabilities: Float64Array.of(0.1, 0.7, 0.2),
          index: 1,
          uncertainty: { entropy: 0.75, mutualInformation: 0.125, agreement: 1, members: request.members },
        }
      : null,
    baseline: asked('baseline')
      ? { logits: Float32Array.of(1, 2, 3), probabilities: Float64Array.of(0.25, 0.25, 0.5), index: 2 }
      : null,
    times: {
      queue: 0.25,
      decode: 0.5,
      compute: asked('discrete') ? 0.125 : null,
      baseline: asked('baseline') ? 2 : null,
    },
  }
}

export interface FakeOptions {
  readonly models?: readonly ServedModel[]
  readonly answer?: Answerer
  readonly state?: Partial<ServiceState>
  /** Without it: the models, all of them ready. */
  readonly index?: readonly RepositoryEntry[]
}

/** An in-memory double of the interface that HTTP knows of serving; it keeps what it was asked. */
export function fakeService({ models = [shapes], answer, state, index }: FakeOptions = {}) {
  const changes: string[] = []
  const requests: PredictRequest[] = []
  const service: Service = {
    backend: 'wasm',
    models: () => models,
    find(name, version) {
      const named = models.filter(model => name === undefined || model.name === name)
      if (named.length === 0) throw new XnordError('MODEL_UNKNOWN', `there is no ${name}`)
      if (new Set(named.map(model => model.name)).size > 1) {
        throw new XnordError('MODEL_AMBIGUOUS', named.map(model => model.name).join(', '))
      }
      const found = named.findLast(model => version === undefined || model.version === version)
      if (found === undefined) throw new XnordError('VERSION_UNKNOWN', `there is no version ${version}`)
      return found
    },
    async predict(request) {
      const { members, model, networks } = request
      if (members > model.members) throw new XnordError('MEMBERS_OUT_OF_RANGE', 'too many')
      if (networks !== 'discrete' && !model.hasBaseline)
        throw new XnordError('BASELINE_ABSENT', 'it has none')
      requests.push(request)
      return Promise.all(
        request.rows.map(row => (answer === undefined ? square(request) : answer(row, request))),
      )
    },
    secondsToRoom: () => 0,
    state: () => ({
      ready: true,
      workers: 2,
      busyWorkers: 1,
      queuedRows: () => new Map(models.map(model => [model, 3])),
      inFlightRows: 5,
      busySeconds: 1.5,
      ...state,
    }),
    index: async () =>
      index ?? models.map(({ name, version }) => ({ name, version, state: 'READY', reason: '' })),
    load: async name => void changes.push(`load ${name}`),
    unload: async name => void changes.push(`unload ${name}`),
    close: async () => {},
  }
  return { service, requests, changes }
}
