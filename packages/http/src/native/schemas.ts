/** The shapes on the native wire. Names are snake_case, times are RFC 3339, sizes are bytes and pixels. */
import { INGEST_STATES, LANES, MEDIA_TYPES, WAIT_REASONS } from '@sluice/core'
import { Type, type TSchema } from 'typebox'

export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const time = Type.String({ format: 'date-time' })
const uuid = Type.String({ format: 'uuid' })
const link = Type.String({ format: 'uri-reference' })

export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.Optional(Type.String()),
    code: Type.String({ description: 'Stable; meant for programs.' }),
  },
  { title: 'Problem', description: 'RFC 9457', additionalProperties: true },
)

export const Product = Type.Object(
  {
    id: uuid,
    number: Type.Integer(),
    sku: Type.String(),
    kind: Type.Enum(['product', 'model'], { description: 'A model stands for several products.' }),
    title: nullable(Type.String()),
    status: Type.Enum(['live', 'draft'], { description: 'Only what is live is shown to shoppers.' }),
    owner: Type.Enum(['store', 'organization']),
    websites: nullable(Type.Array(Type.String(), { description: 'Where it is sold; `null` is everywhere.' })),
    accepts_images: Type.Boolean(),
    version: Type.Integer({ description: 'Grows with every change to the images.' }),
    created_at: time,
    updated_at: time,
    links: Type.Object({ self: link, images: link }),
  },
  { title: 'Product' },
)

export const Attribute = Type.Object(
  {
    code: Type.String(),
    allowed_extensions: nullable(Type.Array(Type.String())),
    file_bytes_max: nullable(Type.Integer()),
    scopable: Type.Boolean(),
    localizable: Type.Boolean(),
    role: nullable(Type.String()),
  },
  { title: 'Attribute', description: 'A field of products that holds an image.' },
)

export const Channel = Type.Object(
  { code: Type.String(), locales: Type.Array(Type.String()) },
  { title: 'Channel', description: 'A way of selling, with its locales.' },
)

export const Store = Type.Object(
  {
    number: Type.Integer({ description: 'Given when it is defined, from 1 on.' }),
    code: Type.String(),
    name: Type.String(),
    website: Type.String(),
  },
  { title: 'Store', description: 'A face of the shop, in which images may be called and ordered differently.' },
)

export const File = Type.Object(
  {
    id: uuid,
    number: Type.Integer(),
    name: nullable(Type.String({ description: "The uploader's file name, made safe." })),
    media_type: Type.Enum(Object.keys(MEDIA_TYPES)),
    bytes: Type.Integer(),
    sha256: Type.String(),
    width: Type.Integer({ description: 'As displayed, after the EXIF orientation.' }),
    height: Type.Integer({ description: 'As displayed.' }),
    orientation: Type.Integer({ minimum: 1, maximum: 8 }),
    mode: Type.String({ description: "The colour mode in Pillow's words.", examples: ['RGB'] }),
    alpha: Type.Boolean(),
    frames: Type.Integer(),
    density: nullable(Type.Number({ description: 'Pixels per inch.' })),
    icc_name: nullable(Type.String()),
    exif: nullable(Type.Record(Type.String(), Type.Record(Type.String(), Type.Unknown()))),
    dominant_colour: Type.String({ examples: ['#336699'] }),
    thumbhash: Type.String({ description: 'Base64.' }),
    warnings: Type.Array(Type.String()),
    thumbnail: Type.Object({ width: Type.Integer(), height: Type.Integer(), bytes: Type.Integer(), url: link }),
    url: link,
    created_at: time,
  },
  { title: 'File' },
)

export const Image = Type.Object(
  {
    id: uuid,
    number: Type.Integer(),
    product_id: uuid,
    name: Type.String({ examples: ['image_2'] }),
    position: Type.Integer({ description: '1 is the front.' }),
    label: Type.String(),
    excluded: Type.Boolean({ description: 'Hidden from shoppers.' }),
    roles: Type.Array(Type.String()),
    main: Type.Boolean(),
    stores: Type.Array(
      Type.Object({
        store: Type.Integer({ description: 'The number of the store view.' }),
        label: nullable(Type.String()),
        position: nullable(Type.Integer({ description: 'A sort key, and no rank.' })),
        excluded: nullable(Type.Boolean()),
      }),
      { description: 'What differs in single store views; null is as everywhere.' },
    ),
    file: File,
    created_at: time,
    updated_at: time,
    links: Type.Object({ self: link, product: link }),
  },
  { title: 'Image' },
)

export const ImageList = Type.Object({ version: Type.Integer(), images: Type.Array(Image) }, { title: 'ImageList' })

const TimelineEntry = Type.Object({
  at: time,
  step: Type.String(),
  attempt: Type.Integer(),
  outcome: Type.Enum(['done', 'skipped', 'rejected', 'failed', 'retried']),
  duration_ms: nullable(Type.Number()),
  detail: nullable(Type.String()),
})

const ingestFields = {
  id: uuid,
  state: Type.Enum([...INGEST_STATES]),
  lane: Type.Enum([...LANES], { description: 'What is interactive goes before what is imported.' }),
  parked: nullable(
    Type.Object(
      { sku: Type.String(), until: time },
      { description: 'The product that it waits for, or has waited for in vain.' },
    ),
  ),
  product_id: nullable(uuid),
  file_name: nullable(Type.String()),
  bytes: nullable(Type.Integer()),
  source_url: nullable(Type.String({ description: 'Where the file is fetched from; its query is not shown.' })),
  attempts: Type.Integer(),
  result: nullable(Type.Object({ file_id: uuid, file: link, image_id: nullable(uuid), image: nullable(link) })),
  error: nullable(Problem),
  replay: Type.Optional(
    nullable(
      Type.Object(
        {
          possible: Type.Boolean(),
          until: nullable(Type.String({ format: 'date-time', description: 'So long its bytes are kept; `null`: for ever.' })),
          code: nullable(Type.String({ description: 'Why not. Stable; meant for programs.' })),
          detail: nullable(Type.String()),
        },
        { description: 'Where ingests are read: whether one that has failed can be tried again.' },
      ),
    ),
  ),
  created_at: time,
  updated_at: time,
  finished_at: nullable(time),
  links: Type.Object({ self: link, events: link }),
}

export const Ingest = Type.Object(ingestFields, { title: 'Ingest' })

const Waiting = Type.Object(
  {
    reason: Type.Enum([...WAIT_REASONS]),
    detail: Type.String(),
    until: nullable(
      Type.String({ format: 'date-time', description: 'When it goes on, or when the wait is over at the latest.' }),
    ),
  },
  { description: 'Why it is not over yet; null when it is.' },
)

export const IngestWithTimeline = Type.Object(
  { ...ingestFields, waiting: nullable(Waiting), timeline: Type.Array(TimelineEntry) },
  { title: 'IngestWithTimeline' },
)

export const IngestPage = Type.Object(
  { items: Type.Array(Ingest), next: nullable(link) },
  { title: 'IngestPage', description: 'Newest first; `next` is the page of older ones.' },
)

/** The responses that every guarded route may give, beside its own. */
export const problems = (...statuses: number[]) =>
  Object.fromEntries(
    [...statuses, 401, 403, 429, 503].map((status) => [
      status,
      { content: { 'application/problem+json': { schema: Problem } }, description: 'Problem' },
    ]),
  )
