/** The bound of all kernels on bits: what bench/peak.cpp reaches from registers. */

import type { Backend } from '../src/engine/kernels/kernels.ts'
import { openProgram, type Program } from './program.ts'

export interface Peak {
  readonly what: string
  /** Sums that it took, so that none waits for itself. */
  readonly chains: number
  /** 64-bit words a second that are xored, counted and added. */
  readonly wordOperationsPerSecond: number
}

/** GCC would sort the instructions of all chains by their kind, which not every CPU runs as fast as chain after chain. */
const inOrder = '-fno-schedule-insns2'

/** For the compiler; a backend that is not here has no peak. */
const flags: Readonly<Record<string, Readonly<Partial<Record<Backend, readonly string[]>>>>> = {
  x64: {
    avx512: ['-mavx512f', '-mavx512vpopcntdq'],
    avx512bw: ['-mavx512bw'],
    avx2: ['-mavx2'],
    scalar: ['-mpopcnt'],
  },
  arm64: { neon: [] },
}

/** Runs a program for each instruction set whenever it is asked to, and keeps the best that each reached. */
export class PeakMeter {
  readonly #programs: readonly Program[]
  readonly #peaks = new Map<string, Peak>()
  #runs = 0

  private constructor(programs: readonly Program[]) {
    this.#programs = programs
  }

  /** @param backends of this machine; where there is no compiler, nothing will be measured */
  static async open(backends: readonly Backend[]): Promise<PeakMeter> {
    const programs: Program[] = []
    for (const backend of backends) {
      const given = flags[process.arch]?.[backend]
      const program = given === undefined ? null : await openProgram('peak', [inOrder, ...given])
      if (program !== null) programs.push(program)
    }
    return new PeakMeter(programs)
  }

  get runs(): number {
    return this.#runs
  }

  /** By the name of the backend, or of the backend and what it does. */
  get peaks(): ReadonlyMap<string, Peak> {
    return this.#peaks
  }

  async measure(): Promise<void> {
    for (const program of this.#programs) {
      const measured = (await program.run()) as Readonly<Record<string, Peak>>
      for (const [name, peak] of Object.entries(measured)) {
        const best = this.#peaks.get(name)?.wordOperationsPerSecond ?? 0
        if (peak.wordOperationsPerSecond > best) this.#peaks.set(name, peak)
      }
    }
    this.#runs++
  }

  close(): void {
    for (const program of this.#programs) program.close()
  }
}
