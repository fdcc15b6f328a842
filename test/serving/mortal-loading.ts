/** In the place of the thread that loads models: it dies, of what the name of the model says. */

import { workerData } from 'node:worker_threads'
import type { LoadOrder } from '../../src/serving/loading.ts'

const death = (workerData as LoadOrder).found.name
if (death === 'exit') process.exit(9)
if (death === 'error') throw new Error('an error that escapes')
for (const hoard: number[][] = []; death === 'memory'; ) hoard.push(new Array(100_000).fill(0.5))
