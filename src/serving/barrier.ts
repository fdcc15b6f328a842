/**
 * A meeting point of threads, in shared memory: nobody passes before all have arrived.
 *
 * One cell: how many have arrived, or `abandoned`.
 */
const abandoned = -(2 ** 30)

export function createBarrier(): SharedArrayBuffer {
  return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
}

/**
 * Blocks the calling thread until all have arrived.
 *
 * @param parties how many there are
 * @param timeout milliseconds
 * @returns the caller's place in the order of arrival, 0..parties − 1, or null if the meeting was abandoned or timed out
 */
export function arrive(barrier: SharedArrayBuffer, parties: number, timeout: number): number | null {
  const cell = new Int32Array(barrier)
  const end = performance.now() + timeout
  const place = Atomics.add(cell, 0, 1)
  if (place + 1 === parties) Atomics.notify(cell, 0)
  for (;;) {
    const arrived = Atomics.load(cell, 0)
    if (arrived < 0) return null
    if (arrived >= parties) return place
    if (Atomics.wait(cell, 0, arrived, Math.max(0, end - performance.now())) === 'timed-out') {
      abandon(barrier)
    }
  }
}

/** Sends everybody home, those who have not arrived yet too. */
export function abandon(barrier: SharedArrayBuffer): void {
  const cell = new Int32Array(barrier)
  Atomics.store(cell, 0, abandoned)
  Atomics.notify(cell, 0)
}
