/** Uploads that are asked for first and made afterwards: straight into the bucket, or to a signed address of our own. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import {
  cancelUpload,
  completeUpload,
  essenceOf,
  type IngestId,
  type IntakeWorld,
  isUuid,
  receivedBytes,
  SluiceError,
  takeUploadContent,
  type TenantId,
  type Upload,
  UPLOAD_STATES,
} from '@sluice/core'
import { type Static, Type } from 'typebox'
import { callerOf } from '../authenticate.ts'
import { refuseContentEncoding } from '../bodies/content-encoding.ts'
import { requestBytes } from '../bodies/request-bytes.ts'
import { deadlineOf } from '../body-deadline.ts'
import { publicUrl } from '../dialect.ts'
import { TEXT, WELL_FORMED } from '../validation.ts'
import type { NativeOptions } from './index.ts'
import * as schemas from './schemas.ts'
import { checkUploadLink, uploadLink } from './upload-link.ts'
import { takeReservation } from './upload-request.ts'
import { ingestPath, ingestView } from './views.ts'

const Params = Type.Object({ upload: Type.String({ description: 'The id of the upload, and of the ingest that it becomes' }) })
type UploadRequest = FastifyRequest<{ Params: Static<typeof Params> }>

const Headers = Type.Record(Type.String(), Type.String())
const uploadFields = {
  id: Type.String({ format: 'uuid' }),
  state: Type.Enum([...UPLOAD_STATES]),
  bytes: Type.Integer(),
  received: schemas.nullable(Type.Integer({ description: 'Bytes that are here; `null` where they go into the bucket.' })),
  media_type: schemas.nullable(Type.String()),
  file_name: schemas.nullable(Type.String()),
  sha256: schemas.nullable(Type.String()),
  product_id: schemas.nullable(Type.String({ format: 'uuid' })),
  created_at: Type.String({ format: 'date-time' }),
  expires_at: Type.String({ format: 'date-time' }),
  links: Type.Object({
    self: Type.String({ format: 'uri-reference' }),
    complete: Type.String({ format: 'uri-reference' }),
    ingest: schemas.nullable(Type.String({ format: 'uri-reference', description: 'Once the upload is complete.' })),
  }),
}
const UploadView = Type.Object(uploadFields, { title: 'Upload' })
const Reservation = Type.Object(
  {
    ...uploadFields,
    put: Type.Object(
      { url: Type.String({ format: 'uri' }), headers: Headers },
      { description: 'A PUT of the file, with these headers.' },
    ),
    post: schemas.nullable(
      Type.Object(
        { url: Type.String({ format: 'uri' }), fields: Headers },
        {
          description:
            'Or a form with these fields, and the file as the last one, `file`. Only where the file goes into the bucket.',
        },
      ),
    ),
  },
  { title: 'UploadReservation' },
)

export async function reservedUploadRoutes(app: FastifyInstance, { world }: NativeOptions): Promise<void> {
  const { database, limits } = world
  const tags = ['Uploads']
  const text = (lengthMax: number) => Type.String({ maxLength: lengthMax, pattern: TEXT, format: WELL_FORMED })
  const NewUpload = Type.Object(
    {
      bytes: Type.Integer({ minimum: 1, maximum: limits.fileBytesMax, description: 'The size of the file, exactly.' }),
      media_type: Type.Optional(text(255)),
      file_name: Type.Optional(text(limits.fileNameLengthMax)),
      sha256: Type.Optional(Type.String({ pattern: '^[0-9A-Fa-f]{64}$' })),
      product: Type.Optional(
        Type.String({ description: 'UUID, integer id, `sku:<sku>`, or `model:<code>`; without it a file alone.' }),
      ),
      name: Type.Optional(text(limits.fileNameLengthMax)),
      label: Type.Optional(text(limits.labelLengthMax)),
      position: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.imagesPerProductMax })),
      roles: Type.Optional(Type.Array(Type.String(), { maxItems: limits.rolesMax })),
      main: Type.Optional(Type.Boolean()),
      excluded: Type.Optional(Type.Boolean()),
    },
    { additionalProperties: false },
  )

  app.post<{ Body: Static<typeof NewUpload> }>(
    '/uploads',
    {
      config: { access: 'writer' },
      schema: {
        tags,
        summary: 'Reserve an upload',
        description:
          'Answers with a signed address for exactly this file. The ingest that the upload becomes, once it is complete, has the id of the upload.',
        body: NewUpload,
        response: { 201: Reservation, ...schemas.problems(400, 404, 413, 415, 422) },
      },
    },
    async (request, reply) => {
      const { bytes, media_type: mediaType = null, file_name: fileName = null, sha256, product, ...fields } = request.body
      const said = { bytes, mediaType, fileName, sha256, product, fields, direct: true, metadata: null }
      const upload = await takeReservation(world, callerOf(request), said)
      const ways = await waysOf(request, world, upload)
      return reply
        .code(201)
        .header('location', uploadPath(upload.id))
        .header('cache-control', 'no-store')
        .send({ ...uploadView(upload), ...ways })
    },
  )

  app.get(
    '/uploads/:upload',
    {
      config: { access: 'reader' },
      schema: { tags, summary: 'Read an upload', params: Params, response: { 200: UploadView, ...schemas.problems(404) } },
    },
    async (request: UploadRequest) => {
      const upload = await database.uploads.find(callerOf(request).tenantId, uploadId(request))
      if (!upload) throw new SluiceError('upload_unknown')
      return uploadView(upload)
    },
  )

  app.post(
    '/uploads/:upload/complete',
    {
      config: { access: 'writer' },
      schema: {
        tags,
        summary: 'Say that an upload is complete',
        description: 'The file is looked for. Without this request it is found too, only later.',
        params: Params,
        response: { 202: schemas.Ingest, ...schemas.problems(400, 404, 409, 410, 413, 415) },
      },
    },
    async (request: UploadRequest, reply) => {
      const ingest = await completeUpload(world, callerOf(request).tenantId, uploadId(request))
      return reply.code(202).header('location', ingestPath(ingest.id)).send(ingestView(ingest))
    },
  )

  app.delete(
    '/uploads/:upload',
    {
      config: { access: 'writer' },
      schema: {
        tags,
        summary: 'Give an upload up',
        params: Params,
        response: { 204: Type.Null(), ...schemas.problems(404, 410) },
      },
    },
    async (request: UploadRequest, reply) => {
      await cancelUpload(world, callerOf(request).tenantId, uploadId(request))
      return reply.code(204).send()
    },
  )

  await app.register(contentRoute, { world })
}

const LinkQuery = Type.Object(
  { tenant: Type.String({ format: 'uuid' }), expires: Type.Integer({ minimum: 0 }), signature: Type.String({ maxLength: 100 }) },
  { additionalProperties: false },
)

type ContentRequest = FastifyRequest<{ Params: Static<typeof Params>; Querystring: Static<typeof LinkQuery> }>

/** What the bucket does where there is one: the signature is the permission, and what was not signed is refused. */
async function contentRoute(app: FastifyInstance, { world }: Pick<NativeOptions, 'world'>): Promise<void> {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.put(
    '/uploads/:upload/content',
    {
      config: { access: 'public' },
      bodyLimit: Number.MAX_SAFE_INTEGER,
      schema: {
        tags: ['Uploads'],
        summary: 'Upload the file of a reservation',
        description: 'The address that a reservation gave, with the headers that it gave. The upload is complete with it.',
        security: [],
        params: Params,
        querystring: LinkQuery,
        response: { 200: UploadView, ...schemas.problems(400, 404, 408, 409, 410, 413, 415, 422, 507) },
      },
    },
    async (request: ContentRequest) => {
      const { tenant, ...link } = request.query
      const named = { tenantId: tenant.toLowerCase() as TenantId, id: uploadId(request) }
      checkUploadLink(world, named, link)
      const upload = await world.database.uploads.find(named.tenantId, named.id)
      if (!upload || upload.bucketKey !== null) throw new SluiceError('upload_unknown')
      checkHeaders(request, upload)
      const signal = deadlineOf(request)
      await takeUploadContent(world, upload, noMoreThan(upload.bytes, requestBytes(request.raw, signal)), signal)
      return uploadView((await world.database.uploads.find(named.tenantId, named.id)) ?? upload)
    },
  )
}

function checkHeaders({ headers }: FastifyRequest, { bytes, declaredType }: Upload): void {
  refuseContentEncoding(headers)
  const length = headers['content-length']
  if (length !== undefined && Number(length) !== bytes) throw otherLength(bytes)
  if (declaredType !== null && essenceOf(headers['content-type']) !== declaredType) {
    throw new SluiceError('media_type_mismatched', `The upload was reserved as ${declaredType}.`)
  }
}

async function* noMoreThan(bytesMax: number, bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let count = 0
  for await (const chunk of bytes) {
    count += chunk.byteLength
    if (count > bytesMax) throw otherLength(bytesMax)
    yield chunk
  }
}

function otherLength(bytes: number): SluiceError {
  return new SluiceError('request_invalid', `The upload was reserved for exactly ${bytes} bytes.`)
}

/** How the client brings the bytes; the addresses are shown once, to who asked for them. */
async function waysOf(request: FastifyRequest, world: IntakeWorld, upload: Upload) {
  const { bytes, declaredType: mediaType, expiresAt, bucketKey } = upload
  if (bucketKey !== null) return world.objects.presign(bucketKey, { bytes, mediaType, expiresAt })
  const headers = { 'content-length': String(bytes), ...(mediaType === null ? {} : { 'content-type': mediaType }) }
  return { put: { url: publicUrl(request, world) + uploadLink(world, upload), headers }, post: null }
}

function uploadId(request: FastifyRequest): IngestId {
  const { upload } = request.params as Static<typeof Params>
  if (!isUuid(upload)) throw new SluiceError('upload_unknown')
  return upload.toLowerCase() as IngestId
}

const uploadPath = (id: string) => `/v1/uploads/${id}`

function uploadView(upload: Upload) {
  const { id, state, bytes, declaredType, fileName, sha256, target, createdAt, expiresAt, bucketKey } = upload
  const self = uploadPath(id)
  return {
    id,
    state,
    bytes,
    received: bucketKey === null ? receivedBytes(upload) : null,
    media_type: declaredType,
    file_name: fileName,
    sha256,
    product_id: target?.productId ?? null,
    created_at: createdAt.toISOString(),
    expires_at: expiresAt.toISOString(),
    links: { self, complete: `${self}/complete`, ingest: state === 'completed' ? ingestPath(id) : null },
  }
}
