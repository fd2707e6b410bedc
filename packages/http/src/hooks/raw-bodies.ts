import type { FastifyInstance, FastifyRequest } from 'fastify'

/** For routes that need the bytes as they came: a signature is over them, and what a parser makes of them could not be checked. */
export function takeRawBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (_request: FastifyRequest, body: Buffer) => body)
}

export function rawBody({ body }: Pick<FastifyRequest, 'body'>): Uint8Array {
  return body instanceof Uint8Array ? body : new Uint8Array()
}
