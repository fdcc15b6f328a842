/** The implementations of the kernels, fastest first. */
export const backends = ['avx512', 'avx2', 'neon', 'scalar', 'wasm'] as const
export type Backend = (typeof backends)[number]

/**
 * What a backend gives: one fused step over a batch, on values and weights that lie in the arena.
 *
 * A step is described by a table of 32-bit integers in the arena (`plan.ts` lays it out), so that a call carries
 * three integers whatever the operation: across the boundary to native code or wasm arguments cost more than work.
 */
export interface Kernels {
  readonly backend: Backend
  /**
   * @param step byte offset in the arena of the step's table
   * @param slot byte offset in the arena of the scratch slot to which the table's activation offsets are relative
   * @param rows the number of rows that the slot holds, 1..maxRows
   */
  run(step: number, slot: number, rows: number): void
}
