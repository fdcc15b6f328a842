import { setFlagsFromString } from 'node:v8'

/**
 * Of a worker, in MB: V8 makes three parts of it, one of which fills up between two collections. What a batch leaves
 * behind is garbage at once, so that a small one does; left alone it would grow to 48 MB in each worker.
 */
export const workerYoungMegabytes = 6

/** Keeps V8's heaps from growing beyond what requests need, to be called whenever a thread has begun, where V8 resets it. */
export function keepHeapsSmall(): void {
  // The young generation of the main thread, which V8 sizes only at its start, stays as the start has made it, 2 to 4 MB:
  // it would become 32 MB under load, and of use to no request.
  setFlagsFromString('--semi-space-growth-factor=1')
  // By this share of what is alive an old generation grows before it is collected; without it, by several times as much.
  setFlagsFromString('--heap-growing-percent=50')
}
