import type { FastifyInstance, FastifySchema, RouteHandlerMethod } from 'fastify'
import type { Limits } from '@sluice/core'
import { Type } from 'typebox'
import { problems } from './schemas.ts'

export interface UploadRoute {
  readonly url: string
  readonly limits: Limits
  /** Whether the image goes to a product, and has a place there. */
  readonly hasPlace: boolean
  readonly schema: FastifySchema
  readonly handler: RouteHandlerMethod
}

/**
 * A POST whose body the handler reads itself, as a stream: Fastify parses nothing here and holds nothing. The schema of the
 * body is there for readers of the OpenAPI document.
 */
export async function uploadRoute(app: FastifyInstance, { url, limits, hasPlace, schema, handler }: UploadRoute): Promise<void> {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.post(
    url,
    {
      config: { access: 'writer' },
      // The stream is limited while it is read, with and without a Content-Length.
      bodyLimit: Number.MAX_SAFE_INTEGER,
      validatorCompiler: () => () => true,
      schema: {
        description,
        headers: Headers,
        body: bodies(limits, hasPlace),
        ...schema,
        response: withProblems(schema.response),
      },
    },
    handler,
  )
}

const description = [
  'In one of five forms: `multipart/form-data` (parts in any order), JSON with the content as base64, JSON with a `file_id`, JSON with a `url` that Sluice fetches, or a raw image body with the fields in the query.',
  'Answers 202 with the address of the ingest, or with `Prefer: wait=N` (seconds) the finished result as 201.',
  'A request that carries an `Idempotency-Key` may be sent again: it is done once and answered the same.',
].join('\n\n')

const Headers = Type.Object({
  'idempotency-key': Type.Optional(Type.String({ pattern: '^[\\x21-\\x7e]+$' })),
  prefer: Type.Optional(Type.String({ examples: ['wait=10'] })),
})

function withProblems(response: unknown): object {
  return { ...(response as object), ...problems(400, 404, 408, 409, 413, 415, 422, 507) }
}

function bodies(limits: Limits, hasPlace: boolean) {
  const place = {
    name: Type.Optional(Type.String({ description: 'Default `image`; a name that is taken gets a number: `image_2`.' })),
    label: Type.Optional(Type.String({ maxLength: limits.labelLengthMax })),
    position: Type.Optional(Type.Integer({ minimum: 1, description: 'Default: the end.' })),
    roles: Type.Optional(Type.Array(Type.String())),
    main: Type.Optional(Type.Boolean({ description: 'Default: only if the product has no main image.' })),
    excluded: Type.Optional(Type.Boolean()),
  }
  const fields = hasPlace ? place : {}
  const binary = Type.String({ contentMediaType: 'application/octet-stream', maxLength: limits.fileBytesMax })
  const base64 = Type.Object({
    base64: Type.String({ contentEncoding: 'base64' }),
    media_type: Type.String(),
    name: Type.Optional(Type.String()),
  })
  return {
    content: {
      'multipart/form-data': { schema: Type.Object({ file: binary, ...fields }) },
      'application/json': {
        schema: Type.Union([
          Type.Object({ file: base64, ...fields }, { additionalProperties: false }),
          Type.Object({ file_id: Type.String({ format: 'uuid' }), ...fields }, { additionalProperties: false }),
          Type.Object({ url: Type.String({ format: 'uri', maxLength: 2048 }), ...fields }, { additionalProperties: false }),
        ]),
      },
      'image/*': { schema: binary },
    },
  }
}
