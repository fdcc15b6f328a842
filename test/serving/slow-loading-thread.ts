/** A thread that loads a model as `loading-thread.ts` does, after it has kept itself busy for a while. */

import { parentPort, workerData } from 'node:worker_threads'
import { type LoadOrder, obeyLoadOrder } from '../../src/serving/loading.ts'

Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
parentPort!.postMessage(await obeyLoadOrder(workerData as LoadOrder))
