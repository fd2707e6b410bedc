import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { authenticate, guardRoutes } from '../authenticate.ts'
import { acceptJsonOnly } from '../bodies/json-only.ts'
import type { DialectContext } from '../dialect.ts'
import { catalogueRoutes } from './catalogue.ts'
import { fileRoutes } from './files.ts'
import { hookEventRoutes } from './hook-events.ts'
import { hookSourceRoutes } from './hook-sources.ts'
import { hookRoutes } from './hooks.ts'
import { imageChangeRoutes } from './image-changes.ts'
import { imageRoutes } from './images.ts'
import { importRoutes } from './imports.ts'
import { ingestReplayRoutes } from './ingest-replays.ts'
import { ingestRoutes } from './ingests.ts'
import { openApi } from './openapi.ts'
import { productRoutes } from './products.ts'
import { reservedUploadRoutes } from './reserved-uploads.ts'
import { tusRoutes } from './tus.ts'
import { webhookDeliveryRoutes } from './webhook-deliveries.ts'
import { webhookRoutes } from './webhooks.ts'

export type NativeOptions = DialectContext

/** The page is made of files of ours, and asks nobody else. */
const PAGE_POLICY = {
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self'",
  'img-src': "'self' data:",
  'connect-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
}

/** Our own API under `/v1`, its description at `/v1/openapi.json`, and the readable form of that at `/docs`. */
export async function nativeApi(app: FastifyInstance, options: NativeOptions): Promise<void> {
  const { database } = options.world
  await app.register(swagger, openApi)
  await app.register(
    async (v1) => {
      guardRoutes(v1, (request) => authenticate(database, request.headers.authorization, 'Bearer'))
      acceptJsonOnly(v1)
      v1.get('/openapi.json', { config: { access: 'public' }, schema: { hide: true } }, async () => app.swagger())
      for (const routes of [
        productRoutes,
        imageRoutes,
        imageChangeRoutes,
        fileRoutes,
        ingestRoutes,
        ingestReplayRoutes,
        importRoutes,
        catalogueRoutes,
      ])
        await v1.register(routes, options)
      for (const routes of [reservedUploadRoutes, tusRoutes]) await v1.register(routes, options)
      for (const routes of [hookRoutes, hookSourceRoutes, hookEventRoutes]) await v1.register(routes, options)
      for (const routes of [webhookRoutes, webhookDeliveryRoutes]) await v1.register(routes, options)
    },
    { prefix: '/v1' },
  )
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: PAGE_POLICY,
    uiConfig: { validatorUrl: null, layout: 'BaseLayout', docExpansion: 'list', deepLinking: true, tryItOutEnabled: false },
    theme: { title: 'Sluice API' },
  })
}
