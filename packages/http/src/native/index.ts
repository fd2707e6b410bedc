import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import type { IntakeWorld } from '@sluice/core'
import { guardRoutes } from '../authenticate.ts'
import { acceptJsonOnly } from '../bodies/json-only.ts'
import { fileRoutes } from './files.ts'
import { imageChangeRoutes } from './image-changes.ts'
import { imageRoutes } from './images.ts'
import { ingestRoutes } from './ingests.ts'
import { openApi } from './openapi.ts'
import { productRoutes } from './products.ts'

export interface NativeOptions {
  readonly world: IntakeWorld
  /** Aborted when the server stops: nobody is kept waiting for what may come after it. */
  readonly closing: AbortSignal
}

/** Our own API under `/v1`, its description at `/v1/openapi.json`, and the readable form of that at `/docs`. */
export async function nativeApi(app: FastifyInstance, { world }: { readonly world: IntakeWorld }): Promise<void> {
  const closing = new AbortController()
  app.addHook('preClose', async () => closing.abort())
  const options: NativeOptions = { world, closing: closing.signal }
  await app.register(swagger, openApi)
  await app.register(
    async (v1) => {
      guardRoutes(v1, world.database)
      acceptJsonOnly(v1)
      v1.get('/openapi.json', { config: { access: 'public' }, schema: { hide: true } }, async () => app.swagger())
      for (const routes of [productRoutes, imageRoutes, imageChangeRoutes, fileRoutes, ingestRoutes])
        await v1.register(routes, options)
    },
    { prefix: '/v1' },
  )
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    uiConfig: { layout: 'BaseLayout', docExpansion: 'list', deepLinking: true, tryItOutEnabled: false },
    theme: { title: 'Sluice API' },
  })
}
