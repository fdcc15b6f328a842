/** The benchmark's own C++ programs, compiled as the kernels are. */

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { compileNative, findCompiler } from '../scripts/native.ts'

export interface Program {
  /** @returns what it prints, which is JSON */
  run(): Promise<unknown>
  /** Removes it. */
  close(): void
}

/** @returns null where there is no compiler */
export async function openProgram(name: string, flags: readonly string[] = []): Promise<Program | null> {
  if (findCompiler() === null) return null
  const folder = mkdtempSync(join(tmpdir(), `xnord-${name}-`))
  const output = join(folder, name)
  const source = fileURLToPath(new URL(`${name}.cpp`, import.meta.url))
  await compileNative({ kind: 'program', sources: [source], output, extraFlags: flags })
  return {
    run: async () => JSON.parse((await promisify(execFile)(output)).stdout),
    close: () => rmSync(folder, { recursive: true }),
  }
}
