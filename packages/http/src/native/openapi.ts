import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'

/** The head of the OpenAPI document; the rest is generated from the routes' schemas. */
export const openApi: FastifyDynamicSwaggerOptions = {
  openapi: {
    openapi: '3.1.0',
    info: {
      title: 'Sluice',
      version: '1',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description: [
        'Brings images into catalogues: every image lands once, in the right place, in the right order.',
        '',
        'An upload is answered **202** with the address of its ingest as soon as its bytes are safe. Add `Prefer: wait=10` to get the finished image as **201**.',
        'Errors are RFC 9457 problem documents with a stable `code`.',
      ].join('\n'),
    },
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'A token of your tenant.' } } },
    security: [{ token: [] }],
    tags: [
      { name: 'Products', description: 'What images hang on.' },
      { name: 'Catalogue', description: 'What describes products beside their images: attributes, channels, store views.' },
      { name: 'Images', description: 'The images of a product, in their order.' },
      { name: 'Files', description: 'Verified bytes under a public identity.' },
      { name: 'Imports', description: 'Many images at one time: planned, applied, and undone.' },
      {
        name: 'Uploads',
        description: 'Files that are uploaded beside the requests that ask for it: into the bucket, or resumably.',
      },
      { name: 'Ingests', description: 'What becomes of an upload, step by step.' },
      { name: 'Webhooks in', description: 'Events of other systems that bring images.' },
      { name: 'Webhooks out', description: 'Events of ours, sent to whoever subscribes.' },
    ],
  },
}
