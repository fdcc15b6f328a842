/** What a trick past the port limit would gain on this CPU, and why the kernels do without it. */

import type { Bench } from '../bench.ts'
import { table, times } from '../markdown.ts'
import { openProgram } from '../program.ts'
import type { Spread } from '../rounds.ts'

/** As bench/parity.cpp prints it: how many times as fast as the plain kernel. */
interface Measured {
  /** Of a window: 3 × 3 pixels. */
  readonly words: number
  readonly rounds: number
  /** Prefixes through a whole window, or anew in each of its lines. */
  readonly window: Spread
  readonly line: Spread
}

const flags = ['-mavx512f', '-mavx512vpopcntdq', '-mpopcnt']
const WORD_BITS = 64
const PIXELS = 9

/** @returns null where there is no compiler, or no vpopcntq */
export async function measureParity({ backends }: Bench): Promise<string | null> {
  if (backends.every(({ name }) => name !== 'avx512')) return null
  const program = await openProgram('parity', flags)
  if (program === null) return null
  const measured = (await program.run().finally(program.close)) as readonly Measured[]
  return `### Past the port limit

Two words can share one count where parities are stored in place of every second word, of weights and of activations:
5 operations instead of 6 (\`bench/parity.cpp\`). How many times as fast as the kernel of \`avx512\` that is for windows of
3 × 3 pixels, from the nearest cache, n = ${measured[0].rounds} rounds:

${table(
  ['channels', 'parities through the window', 'through each of its lines'],
  measured.map(({ words, window, line }) => [
    String((words * WORD_BITS) / PIXELS),
    times(window),
    times(line),
  ]),
)}

The kernels do without it. Windows overlap, so that parities through a whole window ask for a copy of each window's words,
which is not in the figure; parities along a line can stay where the activations lie. Weights and activations of their
own, for some CPUs and some layers, would have to gain more than that.`
}
