import type { Model } from '../src/engine/format.ts'
import type { LoadedBackend } from '../src/serving/backend.ts'
import type { Cpu } from './cpu.ts'
import type { Network } from './networks.ts'
import type { PeakMeter } from './peak.ts'
import type { RoundsOptions } from './rounds.ts'

/** What all sections of the page measure with. */
export interface Bench {
  readonly cpu: Cpu
  /** Those of this machine, fastest first. */
  readonly backends: readonly LoadedBackend[]
  /** At least one; what is shown of one network only is shown of the first. */
  readonly networks: readonly Network[]
  readonly rounds: RoundsOptions
  readonly peak: PeakMeter
  /** The network with random weights of a kind: each time the same model. */
  readonly model: (network: Network, weights: Weights) => Model
}

/** Of all layers. */
export type Weights = 'binary' | 'ternary'

export const seed = 1
