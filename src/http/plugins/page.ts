import { readdirSync } from 'node:fs'
import { sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { addSecurityHeaders, documentHeaders } from './security-headers.ts'

/** The built page lies beside the built service; a service run from its sources finds it there, too. */
const built = fileURLToPath(new URL('../../../dist/page/', import.meta.url))

/**
 * The page at `/`: a route for each of its files, and none beside them. What sends files is loaded when the page is
 * first asked for. (@fastify/static would bring a library for patterns of names with it, which takes longer to load than
 * all of this app's own modules.)
 */
export async function page(
  app: FastifyInstance,
  { root = built }: { readonly root?: string },
): Promise<void> {
  addSecurityHeaders(app, documentHeaders)
  for (const file of filesOf(root)) {
    const addresses = file === 'index.html' ? ['/', '/index.html'] : [`/${file}`]
    for (const address of addresses) {
      app.get(address, { schema: { hide: true } }, async (request, reply) => {
        const { default: send } = await import('@fastify/send')
        const { statusCode, headers, stream } = await send(request.raw, `/${file}`, { root })
        return reply.code(statusCode).headers(headers).send(stream)
      })
    }
  }
}

/** Their paths within the folder, as addresses are written; none where it is not there. */
function filesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(({ parentPath, name }) => `${parentPath.slice(folder.length)}${sep}${name}`)
      .map(path => path.split(sep).filter(Boolean).join('/'))
  } catch {
    // The page has not been built.
    return []
  }
}
