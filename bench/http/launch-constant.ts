/** The servers that answer a constant, as processes. */

import { fileURLToPath } from 'node:url'
import type { HttpBench } from './bench.ts'
import type { Launch } from './process.ts'

export function launchConstant(
  { serverCore }: HttpBench,
  program: 'same-server' | 'bare-server',
  port: number,
  readyPath: string,
): Launch {
  const file = fileURLToPath(new URL(`${program}.ts`, import.meta.url))
  return {
    core: serverCore,
    port,
    command: [process.execPath, '--import', 'tsx', file, String(port)],
    readyPath,
  }
}
