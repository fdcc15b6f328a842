import { readFile } from 'node:fs/promises'
import type { Backend } from '../engine/kernels/kernels.ts'
import { XnordError } from '../errors.ts'

export interface LoadedBackend {
  readonly name: Backend
  /** The compiled kernels, which every worker instantiates. */
  readonly kernels: WebAssembly.Module
}

/** Where the build puts the kernels; this file lies two levels below the repository both as source and as built. */
const kernelsFile = new URL('../../dist/kernels.wasm', import.meta.url)

/**
 * Chooses a backend and compiles its kernels, once for the process.
 *
 * @param forced the only one that will do
 * @throws CONFIGURATION_INVALID where that one is not there
 */
export async function loadBackend(
  forced: string | undefined,
  file: URL = kernelsFile,
): Promise<LoadedBackend> {
  if (forced !== undefined && forced !== 'wasm') {
    throw new XnordError(
      'CONFIGURATION_INVALID',
      `XNORD_BACKEND is ${JSON.stringify(forced)}; there is: wasm.`,
    )
  }
  try {
    return { name: 'wasm', kernels: await WebAssembly.compile(new Uint8Array(await readFile(file))) }
  } catch (thrown) {
    const { message } = thrown as Error
    throw new XnordError('INTERNAL', `The kernels cannot be loaded (npm run build makes them): ${message}.`, {
      cause: thrown,
    })
  }
}
