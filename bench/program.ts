/** The benchmark's own C++ programs, compiled as the kernels are. */

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { compileNative, findCompiler } from '../scripts/native.ts'

export interface Program {
  /** Of the compiled program. */
  readonly file: string
  /** @returns what it prints, which is JSON */
  run(): Promise<unknown>
  /** Removes it. */
  close(): void
}

/**
 * @param name of the source below this folder, without its extension
 * @returns null where there is no compiler
 */
export async function openProgram(name: string, flags: readonly string[] = []): Promise<Program | null> {
  if (findCompiler() === null) return null
  const folder = mkdtempSync(join(tmpdir(), `xnord-${basename(name)}-`))
  const output = join(folder, basename(name))
  const source = fileURLToPath(new URL(`${name}.cpp`, import.meta.url))
  await compileNative({ kind: 'program', sources: [source], output, extraFlags: flags })
  return {
    file: output,
    run: async () => JSON.parse((await promisify(execFile)(output)).stdout),
    close: () => rmSync(folder, { recursive: true }),
  }
}
