import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import { openOpenLoop } from '../../bench/http/open-loop.ts'
import { missing } from './http-tools.ts'

test('open-loop load accounts for every request: answered by status, or lost', { skip: missing }, async t => {
  const openLoop = await openOpenLoop()
  if (openLoop === null) {
    t.comment('there is no C++ compiler')
    return
  }
  t.teardown(openLoop.close)
  let count = 0
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      const kind = count++ % 3
      if (kind === 0) response.end('yes')
      else if (kind === 1) response.writeHead(503, { 'content-length': 2 }).end('no')
      else request.socket.destroy()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const request = { path: '/', headers: {}, bodies: [Buffer.from('body')] }
  const result = await openLoop.arriveAtRandom(`http://127.0.0.1:${port}`, request, {
    core: 0,
    connections: 8,
    rate: 300,
    warmUpSeconds: 0.2,
    seconds: 1,
    seed: 1,
  })
  t.equal(result.sent, count, 'each was sent once')
  t.equal(result.answered['200'].count, Math.ceil(count / 3))
  t.equal(result.answered['503'].count, Math.ceil((count - 1) / 3))
  t.equal(result.lost, Math.floor(count / 3))
  t.ok(count > 250 && count < 500, 'about as many as the rate says')
})
