/** A worker as it is, but for the rows of which it dies. */

import { threadId, workerData } from 'node:worker_threads'
import type { RunMessage, WorkerData } from '../../src/serving/messages.ts'
import { createWorkerTasks } from '../../src/serving/worker-tasks.ts'
import { deaths, mark } from './lethal.ts'

const tasks = createWorkerTasks(workerData as WorkerData)

export const { open, decode, release } = tasks

export function run(message: RunMessage): ReturnType<typeof tasks.run> {
  let offset = 0
  for (const row of message.rows) {
    const bytes = new Uint8Array(message.bytes, offset, Math.abs(row))
    offset += bytes.length
    const [death, lastThread] = bytes.subarray(mark.length)
    if (mark.every((byte, index) => bytes[index] === byte) && threadId <= lastThread)
      return die(deaths[death])
  }
  return tasks.run(message)
}

/** Whatever the death, the task has no end. */
function die(death: (typeof deaths)[number]): Promise<never> {
  if (death === 'exit') process.exit(9)
  if (death === 'error') {
    queueMicrotask(() => {
      throw new Error('an error that escapes the task')
    })
  }
  for (const hoard: number[][] = []; death === 'memory'; ) hoard.push(new Array(100_000).fill(0.5))
  return new Promise(() => undefined)
}
