/** The bound of all kernels on bits: what bench/peak.cpp reaches from registers. */

import { openProgram, type Program } from './program.ts'

export interface Peak {
  readonly what: string
  /** 64-bit words a second that are xored, counted and added. */
  readonly wordOperationsPerSecond: number
}

/** Runs the program whenever it is asked to, and keeps the best that each instruction set reached. */
export class PeakMeter {
  readonly #program: Program | null
  readonly #peaks = new Map<string, Peak>()
  #runs = 0

  private constructor(program: Program | null) {
    this.#program = program
  }

  /** Compiles the program; where there is no compiler, nothing will be measured. */
  static async open(): Promise<PeakMeter> {
    return new PeakMeter(await openProgram('peak'))
  }

  get runs(): number {
    return this.#runs
  }

  /** By the name of the instruction set, which is a backend's. */
  get peaks(): ReadonlyMap<string, Peak> {
    return this.#peaks
  }

  async measure(): Promise<void> {
    if (this.#program === null) return
    const measured = (await this.#program.run()) as Readonly<Record<string, Peak>>
    this.#runs++
    for (const [name, peak] of Object.entries(measured)) {
      const best = this.#peaks.get(name)?.wordOperationsPerSecond ?? 0
      if (peak.wordOperationsPerSecond > best) this.#peaks.set(name, peak)
    }
  }

  close(): void {
    this.#program?.close()
  }
}
