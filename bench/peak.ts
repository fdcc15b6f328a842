/** The bound of all kernels on bits: what bench/peak.cpp reaches from registers. */

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { compileNative, findCompiler } from '../scripts/native.ts'

export interface Peak {
  readonly what: string
  /** 64-bit words a second that are xored, counted and added. */
  readonly wordOperationsPerSecond: number
}

/** Runs the program whenever it is asked to, and keeps the best that each instruction set reached. */
export class PeakMeter {
  readonly #program: string | null
  readonly #folder: string | null
  readonly #peaks = new Map<string, Peak>()
  #runs = 0

  private constructor(folder: string | null, program: string | null) {
    this.#folder = folder
    this.#program = program
  }

  /** Compiles the program; where there is no compiler, nothing will be measured. */
  static async open(): Promise<PeakMeter> {
    if (findCompiler() === null) return new PeakMeter(null, null)
    const folder = mkdtempSync(join(tmpdir(), 'xnord-peak-'))
    const output = join(folder, 'peak')
    const source = fileURLToPath(new URL('peak.cpp', import.meta.url))
    await compileNative({ kind: 'program', sources: [source], output })
    return new PeakMeter(folder, output)
  }

  get runs(): number {
    return this.#runs
  }

  /** By the name of a backend, followed by ` masked` where words with a mask have a peak of their own. */
  get peaks(): ReadonlyMap<string, Peak> {
    return this.#peaks
  }

  async measure(): Promise<void> {
    if (this.#program === null) return
    const { stdout } = await promisify(execFile)(this.#program)
    this.#runs++
    for (const [name, peak] of Object.entries(JSON.parse(stdout) as Record<string, Peak>)) {
      const best = this.#peaks.get(name)?.wordOperationsPerSecond ?? 0
      if (peak.wordOperationsPerSecond > best) this.#peaks.set(name, peak)
    }
  }

  close(): void {
    if (this.#folder !== null) rmSync(this.#folder, { recursive: true })
  }
}
