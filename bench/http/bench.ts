/** What all sections measure with. */

import type { LoadedBackend } from '../../src/serving/backend.ts'
import type { BarGroup } from '../plot.ts'
import type { Launch } from './process.ts'

export interface HttpBench {
  readonly backend: LoadedBackend
  /** The folder of models that ships. */
  readonly models: string
  /** The name of its model that takes pictures of digits. */
  readonly digits: string
  /** A folder for files of a run. */
  readonly scratch: string
  readonly rounds: number
  /** That a load lasts. */
  readonly seconds: number
  readonly connections: number
  readonly serverCore: number
  readonly loadCore: number
}

/** What a section has measured: its part of the page, and its groups of the plot. */
export interface Section {
  readonly text: string
  readonly groups: readonly BarGroup[]
}

/** xnord as users start it, with one worker, on its core. */
export function launchXnord(
  { serverCore }: HttpBench,
  models: string,
  port: number,
  env: Readonly<Record<string, string>> = {},
): Launch {
  return {
    core: serverCore,
    port,
    command: [process.execPath, 'dist/main.js'],
    env: { XNORD_PORT: String(port), XNORD_WORKERS: '1', XNORD_MODELS: models, ...env },
    readyPath: '/v2/health/ready',
  }
}

/** So many images of random strokes on black: as compressible as what people send, about. */
export function sampleImages(count: number, bytes: number): readonly Uint8Array[] {
  return Array.from({ length: count }, (_, image) =>
    Uint8Array.from({ length: bytes }, (_, index) => {
      const wave = Math.sin((index % 32) * 0.3 + image) + Math.cos(Math.floor(index / 32) * 0.2 + 2 * image)
      return wave > 1 ? Math.min(255, Math.floor(127 * wave)) : 0
    }),
  )
}
