/** What the HTTP server alone costs: it reads a body as xnord reads it, and answers a constant. */

import multipart from '@fastify/multipart'
import Fastify from 'fastify'

const answer = JSON.stringify({
  model: 'mnist',
  version: 1,
  predictions: [{ name: null, label: '7', index: 7, probability: 0.5 }],
})

const app = Fastify()
await app.register(multipart)
app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) =>
  done(null, body),
)
app.get('/ready', async () => ({}))
app.post('/body', async (_request, reply) => reply.type('application/json').send(answer))
app.post('/multipart', async (request, reply) => {
  for await (const part of request.files()) await part.toBuffer()
  return reply.type('application/json').send(answer)
})
await app.listen({ port: Number(process.argv[2]) })
