/** The entry of a thread that loads one model, answers, and ends. All it does is in loading.ts. */

import { parentPort, workerData } from 'node:worker_threads'
import { type LoadOrder, obeyLoadOrder } from './loading.ts'

parentPort!.postMessage(await obeyLoadOrder(workerData as LoadOrder))
