/** Fastify alone, with routes that answer a constant: no log, no metrics, no security headers, no limits. */

import Fastify from 'fastify'
import { constantRoutes } from './constant.ts'

const app = Fastify()
app.get('/ready', async () => ({}))
await app.register(constantRoutes)
await app.listen({ port: Number(process.argv[2]) })
