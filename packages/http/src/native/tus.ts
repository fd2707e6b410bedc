import type { FastifyInstance } from 'fastify'
import type { NativeOptions } from './index.ts'

const METHODS = ['POST', 'HEAD', 'PATCH', 'DELETE', 'OPTIONS']

/** Resumable uploads. Their library is loaded with the first of them: it takes 17 MB of every intake. */
export async function tusRoutes(app: FastifyInstance, { world }: NativeOptions): Promise<void> {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  let opened: Promise<ReturnType<(typeof import('./tus-server.ts'))['openTus']>> | null = null
  const serve = () => (opened ??= import('./tus-server.ts').then(({ openTus }) => openTus(world)))
  for (const url of ['/tus', '/tus/:upload']) {
    app.route({
      method: METHODS,
      url,
      config: { access: 'writer' },
      bodyLimit: Number.MAX_SAFE_INTEGER,
      schema: { hide: true },
      handler: async (request, reply) => (await serve())(request, reply),
    })
  }
}
