import { authenticate } from '../authenticate.ts'
import { defineDialect } from '../dialect.ts'
import { ERRORS_ON_THE_WIRE, sendError, type Wire } from './errors.ts'
import { mediaFileRoutes } from './media-files.ts'
import { newMediaFileRoute } from './new-media-file.ts'
import { tokenRoutes } from './token.ts'

/** Akeneo PIM: media files of products and product models. */
export const akeneo = defineDialect<Wire>({
  name: 'akeneo',
  prefixes: ['/api/rest/v1', '/api/oauth/v1'],
  identify: ({ headers }, { database }) => authenticate(database, headers.authorization, 'Bearer'),
  async routes(app, context) {
    mediaFileRoutes(app, context)
    // Each reads its bodies in a way of its own.
    await app.register(async (scope) => newMediaFileRoute(scope, context))
    await app.register(async (scope) => tokenRoutes(scope, context))
  },
  errors: ERRORS_ON_THE_WIRE,
  sendError,
})
