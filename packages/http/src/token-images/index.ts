import type { FastifyRequest } from 'fastify'
import type { Caller, IntakeWorld } from '@sluice/core'
import { authenticate } from '../authenticate.ts'
import { defineDialect } from '../dialect.ts'
import { changeRoutes } from './changes.ts'
import { ERRORS_ON_THE_WIRE, sendError, type Wire } from './errors.ts'
import { readRoutes } from './reads.ts'
import { uploadRoutes } from './upload.ts'

/** The images of a product, in the manner of Django REST framework: `Authorization: Token`, errors by field, pages by offset. */
export const tokenImages = defineDialect<Wire>({
  name: 'token-images',
  prefixes: ['/api/products'],
  identify,
  async routes(app, context) {
    for (const routes of [uploadRoutes, changeRoutes, readRoutes]) await app.register(async (scope) => routes(scope, context))
  },
  errors: ERRORS_ON_THE_WIRE,
  sendError,
})

/** Our own scheme works as well. With any other, no credentials were given that this API knows. */
function identify({ headers: { authorization } }: FastifyRequest, { database }: IntakeWorld): Promise<Caller> {
  const scheme = /^\s*(token|bearer)(?=\s|$)/i.exec(authorization ?? '')?.[1]
  return authenticate(database, scheme && authorization, scheme ?? 'Token')
}
