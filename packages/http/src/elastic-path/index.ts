import { authenticate } from '../authenticate.ts'
import { defineDialect } from '../dialect.ts'
import { keepBodies } from './body.ts'
import { childRoutes } from './children.ts'
import { ERRORS_ON_THE_WIRE, sendError, type Wire } from './errors.ts'
import { hierarchyRoutes } from './hierarchies.ts'
import { nodeRoutes } from './nodes.ts'

/** Elastic Path: main images and files of products, files, hierarchies. */
export const elasticPath = defineDialect<Wire>({
  name: 'elastic-path',
  prefixes: ['/pcm', '/v2', '/oauth'],
  identify: ({ headers }, { database }) => authenticate(database, headers.authorization, 'Bearer'),
  async routes(app, context) {
    keepBodies(app)
    for (const routes of [hierarchyRoutes, nodeRoutes, childRoutes]) routes(app, context)
  },
  errors: ERRORS_ON_THE_WIRE,
  sendError,
})
