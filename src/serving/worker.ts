/** The entry of a worker thread: Piscina calls these exports by name. All they do is in worker-tasks.ts. */

import { workerData } from 'node:worker_threads'
import type { WorkerData } from './messages.ts'
import { createWorkerTasks } from './worker-tasks.ts'

export const { open, run, decode, release } = createWorkerTasks(workerData as WorkerData)
