import { authenticate } from '../authenticate.ts'
import { defineDialect } from '../dialect.ts'
import { accessTokenRoutes } from './access-token.ts'
import { keepBodies } from './body.ts'
import { childRoutes } from './children.ts'
import { ERRORS_ON_THE_WIRE, sendError, type Wire } from './errors.ts'
import { fileRoutes } from './files.ts'
import { hierarchyRoutes } from './hierarchies.ts'
import { mainImageRoutes } from './main-image.ts'
import { nodeRoutes } from './nodes.ts'
import { productFileRoutes } from './product-files.ts'
import { productRoutes } from './products.ts'

const ROUTES = [
  accessTokenRoutes,
  productRoutes,
  mainImageRoutes,
  productFileRoutes,
  fileRoutes,
  hierarchyRoutes,
  nodeRoutes,
  childRoutes,
]

/** Elastic Path: main images and files of products, files, hierarchies. */
export const elasticPath = defineDialect<Wire>({
  name: 'elastic-path',
  prefixes: ['/pcm', '/v2', '/oauth'],
  identify: ({ headers }, { database }) => authenticate(database, headers.authorization, 'Bearer'),
  routes(app, context) {
    keepBodies(app)
    for (const routes of ROUTES) routes(app, context)
  },
  errors: ERRORS_ON_THE_WIRE,
  sendError,
})
