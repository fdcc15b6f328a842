// Loaded into a server before anything else: SIGUSR2 kills one of its worker threads, as nothing outside a process can.

import { createRequire } from 'node:module'
import { isMainThread } from 'node:worker_threads'

if (isMainThread) {
  const threads = createRequire(import.meta.url)('node:worker_threads')
  const workers = new Set()
  threads.Worker = class extends threads.Worker {
    constructor(...parameters) {
      super(...parameters)
      workers.add(this)
      this.once('exit', () => workers.delete(this))
    }
  }
  process.on('SIGUSR2', () => {
    const [first] = workers
    void first?.terminate()
  })
}
