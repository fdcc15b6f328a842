/** A thread that arrives at a barrier and says what place it got. */

import { parentPort, workerData } from 'node:worker_threads'
import { arrive } from '../../src/serving/barrier.ts'

const { barrier, parties } = workerData as { readonly barrier: SharedArrayBuffer; readonly parties: number }
parentPort?.postMessage(arrive(barrier, parties, 60_000))
