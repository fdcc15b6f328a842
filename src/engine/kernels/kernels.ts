/**
 * The implementations of the kernels, fastest first: `avx512` counts bits by VPOPCNTDQ, `avx512bw` by table look-ups,
 * `wasm` by words or by vectors, whichever is faster here, and `scalar`, which is plain C++, a word at a time.
 */
export const backends = ['avx512', 'avx512bw', 'avx2', 'neon', 'wasm', 'scalar'] as const
export type Backend = (typeof backends)[number]

/**
 * What a backend gives: fused steps over a batch, on values and weights that lie in the arena.
 *
 * A step is described by a table of 32-bit integers in the arena (`step.ts` says which, `plan.ts` lays it out), so that
 * a whole forward pass is one call of four integers: across the boundary to native code or wasm, calls cost time.
 */
export interface Kernels {
  readonly backend: Backend
  /**
   * @param step byte offset in the arena of the first step's table
   * @param steps tables that lie one behind the other from there, run in order
   * @param slot byte offset in the arena of the slot to which the tables' offsets are relative
   * @param rows that the slot holds, 1..maxRows
   */
  run(step: number, steps: number, slot: number, rows: number): void
}
