/** Routes that read a body as xnord reads it, and answer a constant: what is left of xnord without its predictions. */

import multipart from '@fastify/multipart'
import type { FastifyInstance } from 'fastify'

const answer = JSON.stringify({
  model: 'mnist',
  version: 1,
  predictions: [{ name: null, label: '7', index: 7, probability: 0.5 }],
})

/** `POST /constant/body` and `POST /constant/multipart`. */
export async function constantRoutes(app: FastifyInstance): Promise<void> {
  await app.register(multipart)
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  )
  // As predictions are, they are counted and timed.
  const config = { predicts: true } as const
  app.post('/constant/body', { config }, async (_request, reply) =>
    reply.type('application/json').send(answer),
  )
  app.post('/constant/multipart', { config }, async (request, reply) => {
    for await (const part of request.files()) await part.toBuffer()
    return reply.type('application/json').send(answer)
  })
}
