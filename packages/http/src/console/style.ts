import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'

/** The style sheet and the icon: all that our pages load, and open because the login page needs them too. */
export function styleRoutes(app: FastifyInstance): void {
  for (const [name, type] of [
    ['console.css', 'text/css'],
    ['console.svg', 'image/svg+xml'],
  ] as const) {
    const body = readFileSync(new URL(name, import.meta.url))
    app.get(`/${name}`, { config: { access: 'public' } }, async (_request, reply) =>
      reply.header('cache-control', 'public, max-age=300').type(`${type}; charset=utf-8`).send(body),
    )
  }
}
