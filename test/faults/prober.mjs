// Looks at the health of a server, from a thread whose time the clients' requests do not take: each look over a
// connection of its own, as probes do it.

import { get } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'

const { url, looks } = workerData

function look() {
  const start = performance.now()
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, response => {
      const { statusCode: status } = response
      response.resume().once('end', () => resolve({ status, milliseconds: performance.now() - start }))
    }).once('error', reject)
  })
}

const found = []
for (let count = 0; count < looks; count++) {
  found.push(await look())
  await delay(10)
}
parentPort.postMessage(found)
