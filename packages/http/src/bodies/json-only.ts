import type { FastifyInstance, FastifyRequest } from 'fastify'
import { SluiceError } from '@sluice/core'
import { refuseContentEncoding } from './content-encoding.ts'
import { parseJson } from './json-envelope.ts'

/**
 * Bodies are JSON or nothing. Fastify's own parser replaces what is not UTF-8, so that a SKU would be kept otherwise than it
 * was sent; and it refuses an empty body that is declared as JSON, as many clients do with every DELETE.
 */
export function acceptJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    refuseContentEncoding(request.headers)
    if (body.length > 0 || takesBody(request)) return parseJson(body)
    return undefined
  })
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    if (body.length > 0 || takesBody(request)) {
      throw new SluiceError('content_type_unsupported', 'The Content-Type must be application/json.')
    }
  })
}

function takesBody(request: FastifyRequest): boolean {
  return request.routeOptions.schema?.body !== undefined
}
