/**
 * The tables. Every row bears its tenant, and composite foreign keys keep a row from pointing into another tenant. What is
 * opaque to the database is `json`, not `jsonb`: it keeps the text as it came, and does not refuse the `\u0000` that EXIF
 * and error texts may contain.
 */
import type {
  Digest,
  ErrorCode,
  ErrorDetails,
  Facts,
  HookEventState,
  HookMapping,
  HookResult,
  HookVerifier,
  IngestState,
  IssuedKey,
  Lane,
  Owner,
  ProductKind,
  RecordedAnswer,
  Source,
  Target,
  TimelineEntry,
  TokenRole,
  UploadPart,
  UploadState,
  Translations,
  ImportMode,
  ImportProductState,
  ImportState,
  Placement,
  Postponed,
  Problem,
  RowAction,
  RowSource,
  RowState,
  RowWishes,
  DeliveryState,
  Webhook,
  WebhookAttempt,
  WebhookDelivery,
  WebhookEvent,
} from '@sluice/core'
import {
  sql,
  bigint,
  boolean,
  check,
  customType,
  doublePrecision,
  foreignKey,
  index,
  integer,
  json,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
  uniqueIndex,
  uuid,
} from './drizzle.ts'

/** Milliseconds, as JavaScript counts: a time that was read and is asked for again finds its row. */
const time = (name: string) => timestamp(name, { withTimezone: true, precision: 3 })
const createdAt = () => time('created_at').notNull().defaultNow()
const updatedAt = () => time('updated_at').notNull().defaultNow()
const tenantId = () =>
  uuid('tenant_id')
    .notNull()
    .references(() => tenants.id)
/** The integer identity for clients that know only integers. */
const number = () => bigint('number', { mode: 'number' }).notNull().generatedAlwaysAsIdentity().unique()

export const tenants = pgTable('tenants', {
  id: uuid('id').primaryKey(),
  name: text('name').notNull().unique(),
  /** Its share of the queue while others wait too. */
  weight: integer('weight').notNull().default(1),
  createdAt: createdAt(),
})

export const tokens = pgTable(
  'tokens',
  {
    id: uuid('id').primaryKey(),
    number: number(),
    tenantId: tenantId(),
    name: text('name').notNull(),
    role: text('role').$type<TokenRole>().notNull(),
    sha256: text('sha256').notNull().unique(),
    prefix: text('prefix').notNull(),
    createdAt: createdAt(),
    expiresAt: time('expires_at'),
    revokedAt: time('revoked_at'),
    lastUsedAt: time('last_used_at'),
    /** PEM; checks RSA-SHA1 signatures of OAuth 1.0a. */
    publicKey: text('public_key'),
  },
  (table) => [
    index('tokens_by_tenant').on(table.tenantId, table.createdAt),
    check('tokens_role', sql`${table.role} in ('admin', 'writer', 'reader')`),
  ],
)

/** Short-lived keys that act as their token. */
export const issuedKeys = pgTable(
  'issued_keys',
  {
    sha256: text('sha256').primaryKey(),
    tokenId: uuid('token_id')
      .notNull()
      .references(() => tokens.id),
    kind: text('kind').$type<IssuedKey['kind']>().notNull(),
    createdAt: createdAt(),
    expiresAt: time('expires_at').notNull(),
  },
  (table) => [
    index('issued_keys_by_token').on(table.tokenId, table.createdAt),
    index('issued_keys_by_expiry').on(table.expiresAt),
    check('issued_keys_kind', sql`${table.kind} in ('access', 'refresh')`),
  ],
)

export const products = pgTable(
  'products',
  {
    id: uuid('id').primaryKey(),
    number: number(),
    tenantId: tenantId(),
    kind: text('kind').$type<ProductKind>().notNull().default('product'),
    sku: text('sku').notNull(),
    title: text('title'),
    status: text('status').$type<'live' | 'draft'>().notNull().default('live'),
    owner: text('owner').$type<Owner>().notNull().default('store'),
    websites: json('websites').$type<readonly string[]>(),
    acceptsImages: boolean('accepts_images').notNull().default(true),
    extra: json('extra').$type<Readonly<Record<string, unknown>>>().notNull().default({}),
    version: integer('version').notNull().default(1),
    /** Kept under the row's lock: counting ten thousand images at each commit would take a millisecond. */
    imageCount: integer('image_count').notNull().default(0),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (table) => [
    unique('products_sku').on(table.tenantId, table.kind, table.sku),
    unique('products_tenant_id').on(table.tenantId, table.id),
    index('products_newest').on(table.tenantId, table.number),
    check('products_kind', sql`${table.kind} in ('product', 'model')`),
    check('products_status', sql`${table.status} in ('live', 'draft')`),
    check('products_owner', sql`${table.owner} in ('store', 'organization')`),
  ],
)

export const blobs = pgTable(
  'blobs',
  {
    tenantId: tenantId(),
    digest: text('digest').notNull(),
    facts: json('facts').$type<Facts>().notNull(),
    mediaType: text('media_type').notNull(),
    bytes: bigint('bytes', { mode: 'number' }).notNull(),
    createdAt: createdAt(),
    lastSeenAt: time('last_seen_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.digest] })],
)

export const files = pgTable(
  'files',
  {
    id: uuid('id').primaryKey(),
    number: number(),
    tenantId: uuid('tenant_id').notNull(),
    code: text('code').notNull(),
    digest: text('digest').notNull(),
    name: text('name'),
    createdAt: createdAt(),
  },
  (table) => [
    unique('files_tenant_id').on(table.tenantId, table.id),
    unique('files_code').on(table.tenantId, table.code),
    index('files_in_order').on(table.tenantId, table.number),
    index('files_by_digest').on(table.tenantId, table.digest),
    foreignKey({ name: 'files_blob', columns: [table.tenantId, table.digest], foreignColumns: [blobs.tenantId, blobs.digest] }),
  ],
)

export const productImages = pgTable(
  'product_images',
  {
    id: uuid('id').primaryKey(),
    number: number(),
    tenantId: uuid('tenant_id').notNull(),
    productId: uuid('product_id').notNull(),
    fileId: uuid('file_id').notNull(),
    name: text('name').notNull(),
    /** A sort key and not unique: see docs/decisions/0002. */
    position: integer('position').notNull(),
    label: text('label').notNull(),
    excluded: boolean('excluded').notNull(),
    hasGlobalValues: boolean('has_global_values').notNull().default(true),
    slot: text('slot'),
    /** One ingest makes at most one image, however often it is committed. */
    ingestId: uuid('ingest_id').notNull().unique('product_images_ingest'),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (table) => [
    unique('product_images_name').on(table.productId, table.name),
    unique('product_images_product_id').on(table.productId, table.id),
    unique('product_images_slot').on(table.productId, table.slot),
    index('product_images_by_file').on(table.fileId),
    index('product_images_order').on(table.productId, table.position, table.number),
    foreignKey({
      name: 'product_images_product',
      columns: [table.tenantId, table.productId],
      foreignColumns: [products.tenantId, products.id],
    }),
    foreignKey({
      name: 'product_images_file',
      columns: [table.tenantId, table.fileId],
      foreignColumns: [files.tenantId, files.id],
    }),
  ],
)

/**
 * Bytes on their way out of the store. It outlives the row of the blob: a run that began before the objects were gone may still believe
 * that they are there, and finds this when it commits.
 */
export const blobRemovals = pgTable(
  'blob_removals',
  {
    tenantId: uuid('tenant_id').notNull(),
    digest: text('digest').$type<Digest>().notNull(),
    /** Since when nothing was known to refer to it. */
    markedAt: time('marked_at'),
    /** Set while its objects are removed. */
    begunAt: time('begun_at'),
    endedAt: time('ended_at'),
  },
  (table) => [
    primaryKey({ columns: [table.tenantId, table.digest] }),
    index('blob_removals_begun')
      .on(table.begunAt)
      .where(sql`begun_at is not null`),
    index('blob_removals_ended')
      .on(table.endedAt)
      .where(sql`ended_at is not null`),
  ],
)

/** What the last examination has found of each kind, and how much of it was mended since there are examinations. */
export const examinations = pgTable('examinations', {
  kind: text('kind').primaryKey(),
  found: integer('found').notNull(),
  mended: bigint('mended', { mode: 'number' }).notNull(),
  examinedAt: time('examined_at').notNull(),
})

/** What an image is called, and where it stands, in one store view. Null falls back to the image's own. */
export const imageStoreValues = pgTable(
  'image_store_values',
  {
    imageId: uuid('image_id')
      .notNull()
      .references(() => productImages.id, { onDelete: 'cascade' }),
    store: integer('store').notNull(),
    label: text('label'),
    position: integer('position'),
    excluded: boolean('excluded'),
  },
  (table) => [primaryKey({ columns: [table.imageId, table.store] })],
)

/**
 * The key says it: of the images of a product, one at most has a role. Store 0 is the global level; elsewhere a line without an
 * image says that nobody has the role there.
 */
export const productImageRoles = pgTable(
  'product_image_roles',
  {
    productId: uuid('product_id').notNull(),
    store: integer('store').notNull().default(0),
    role: text('role').notNull(),
    imageId: uuid('image_id'),
  },
  (table) => [
    primaryKey({ columns: [table.productId, table.store, table.role] }),
    index('product_image_roles_by_image').on(table.imageId),
    check('product_image_roles_global', sql`${table.store} <> 0 or ${table.imageId} is not null`),
    foreignKey({
      name: 'product_image_roles_image',
      columns: [table.productId, table.imageId],
      foreignColumns: [productImages.productId, productImages.id],
    }).onDelete('cascade'),
  ],
)

/** Every name that was ever given on a product. It outlives its image, so that no name is given twice. */
export const imageNames = pgTable(
  'image_names',
  {
    productId: uuid('product_id')
      .notNull()
      .references(() => products.id),
    name: text('name').notNull(),
    /** The last number that was given with this name as the stem; 0 when it never was one. */
    lastNumber: integer('last_number').notNull(),
  },
  (table) => [primaryKey({ columns: [table.productId, table.name] })],
)

/** The product has a column of its own. */
export type WithoutProduct<Each extends Target> = Each extends Target ? Omit<Each, 'productId'> : never

/** No foreign keys to what an ingest asks for: it is a request, and what it refers to may be missing when its turn comes. */
export const ingests = pgTable(
  'ingests',
  {
    id: uuid('id').primaryKey(),
    tenantId: tenantId(),
    tokenId: uuid('token_id').notNull(),
    state: text('state').$type<IngestState>().notNull().default('received'),
    attempts: integer('attempts').notNull().default(0),
    epoch: integer('epoch').notNull().default(0),
    lane: text('lane').$type<Lane>().notNull().default('interactive'),

    sourceKind: text('source_kind').$type<Source['kind']>().notNull(),
    sourceFileId: uuid('source_file_id'),
    /** What is staged, digest and size are told once it was fetched. */
    sourceUrl: text('source_url'),
    stagedKey: text('staged_key'),
    /** Of what was uploaded before the request. */
    stagedKeys: json('staged_keys').$type<readonly string[]>(),
    /** What was promised of it. */
    promisedDigest: text('promised_digest').$type<Digest>(),
    digest: text('digest'),
    bytes: bigint('bytes', { mode: 'number' }),
    declaredType: text('declared_type'),
    typeMustMatch: boolean('type_must_match'),
    fileName: text('file_name'),

    reusesFile: boolean('reuses_file').notNull().default(false),

    productId: uuid('product_id'),
    /** What is to happen on the product. */
    target: json('target').$type<WithoutProduct<Target>>(),
    /** The product that it waits for, or waited for; it has none of its own until that is there. */
    parkedSku: text('parked_sku'),
    parkedUntil: time('parked_until'),

    /** Why it was put off, and until when. */
    postponedBecause: text('postponed_because').$type<Postponed['because']>(),
    dueAt: time('due_at'),

    /** While an equal request may still claim the answer, and who holds it until when. */
    answerFingerprint: text('answer_fingerprint'),
    answerHeldUntil: time('answer_held_until'),

    resultFileId: uuid('result_file_id'),
    resultImageId: uuid('result_image_id'),
    problemCode: text('problem_code').$type<ErrorCode>(),
    problemDetail: text('problem_detail'),
    problemDetails: json('problem_details').$type<ErrorDetails>(),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
    finishedAt: time('finished_at'),
  },
  (table) => [
    index('ingests_by_tenant').on(table.tenantId, table.id),
    index('ingests_by_tenant_state').on(table.tenantId, table.state, table.id),
    index('ingests_by_product').on(table.productId, table.id),
    index('ingests_unanswered')
      .on(table.tenantId, table.answerFingerprint)
      .where(sql`answer_fingerprint is not null`),
    index('ingests_open')
      .on(table.updatedAt)
      .where(sql`state in ('received', 'running')`),
    index('ingests_waiting')
      .on(table.createdAt)
      .where(sql`state in ('received', 'running')`),
    index('ingests_parked')
      .on(table.tenantId, table.parkedSku)
      .where(sql`state = 'parked'`),
    index('ingests_parked_until')
      .on(table.parkedUntil)
      .where(sql`state = 'parked'`),
    index('ingests_over')
      .on(table.state, table.finishedAt)
      .where(sql`finished_at is not null`),
    index('ingests_staged_bytes')
      .on(table.finishedAt, table.tenantId, table.state, table.bytes)
      .where(sql`state not in ('committed', 'rejected')`),
    index('ingests_uploaded')
      .on(table.finishedAt)
      .where(sql`staged_keys is not null and state not in ('committed', 'rejected')`),
    index('ingests_staged')
      .on(table.stagedKey)
      .where(sql`state not in ('committed', 'rejected')`),
    check('ingests_state', sql`${table.state} in ('received', 'parked', 'running', 'committed', 'rejected', 'failed')`),
    check(
      'ingests_source',
      sql`case source_kind when 'staged' then staged_key is not null and digest is not null and bytes is not null when 'file' then source_file_id is not null when 'url' then source_url is not null when 'uploaded' then staged_keys is not null and bytes is not null else false end`,
    ),
  ],
)

export const ingestTimeline = pgTable(
  'ingest_timeline',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    ingestId: uuid('ingest_id')
      .notNull()
      .references(() => ingests.id, { onDelete: 'cascade' }),
    at: time('at').notNull().defaultNow(),
    step: text('step').notNull(),
    attempt: integer('attempt').notNull(),
    outcome: text('outcome').$type<TimelineEntry['outcome']>().notNull(),
    durationMs: bigint('duration_ms', { mode: 'number' }),
    detail: text('detail'),
  },
  (table) => [index('ingest_timeline_by_ingest').on(table.ingestId, table.id)],
)

export const outbox = pgTable(
  'outbox',
  {
    id: bigint('id', { mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
    ingestId: uuid('ingest_id').notNull(),
    epoch: integer('epoch').notNull(),
    tenantId: uuid('tenant_id').notNull(),
    lane: text('lane').$type<Lane>().notNull().default('interactive'),
    /** Its place among the rows of its tenant: what is queued again keeps the one that it had. */
    since: time('since').notNull().defaultNow(),
    /** Whether the queue may have had this job before, and may have ended it. */
    again: boolean('again').notNull().default(false),
    claimedUntil: time('claimed_until'),
  },
  (table) => [
    index('outbox_by_ingest').on(table.ingestId),
    index('outbox_lines').on(table.lane, table.tenantId, table.since, table.id),
  ],
)

/** How far each tenant has come in each lane: the virtual times of start-time fair queueing. */
export const outboxTurns = pgTable(
  'outbox_turns',
  {
    lane: text('lane').$type<Lane>().notNull(),
    tenantId: uuid('tenant_id').notNull(),
    /** When the row that it was given last began, and ended. */
    started: doublePrecision('started').notNull(),
    ended: doublePrecision('ended').notNull(),
  },
  (table) => [primaryKey({ columns: [table.lane, table.tenantId] })],
)

/** How many ingests were over by a time that lies back far enough to be complete. */
export const ingestTallies = pgTable('ingest_tallies', {
  state: text('state').$type<IngestState>().primaryKey(),
  count: bigint('count', { mode: 'number' }).notNull(),
  upto: time('upto').notNull(),
})

export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    tenantId: tenantId(),
    key: text('key').notNull(),
    /** The ingest that the request is going to make, or made. */
    ownerId: uuid('owner_id').notNull(),
    /** Null until the key is bound to its ingest. */
    fingerprint: text('fingerprint'),
    leaseUntil: time('lease_until').notNull(),
    answer: json('answer').$type<RecordedAnswer>(),
    createdAt: createdAt(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.key] }), index('idempotency_keys_by_age').on(table.createdAt)],
)

// The table `nonces` is partitioned, which drizzle cannot say: it stands in the migration `0004_oauth` and in nonces.ts only.

// ── What describes a catalogue ──────────────────────────────────────────────────────────────────────────────────────

export const attributes = pgTable(
  'attributes',
  {
    tenantId: tenantId(),
    code: text('code').notNull(),
    allowedExtensions: json('allowed_extensions').$type<readonly string[]>(),
    fileBytesMax: bigint('file_bytes_max', { mode: 'number' }),
    scopable: boolean('scopable').notNull(),
    localizable: boolean('localizable').notNull(),
    role: text('role'),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.code] })],
)

export const channels = pgTable(
  'channels',
  {
    tenantId: tenantId(),
    code: text('code').notNull(),
    locales: json('locales').$type<readonly string[]>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.code] })],
)

export const storeViews = pgTable(
  'store_views',
  {
    tenantId: tenantId(),
    /** Given within the tenant, from 1 on; 0 is the global level. */
    number: integer('number').notNull(),
    code: text('code').notNull(),
    name: text('name').notNull(),
    website: text('website').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.number] }), unique('store_views_code').on(table.tenantId, table.code)],
)

export const hierarchies = pgTable(
  'hierarchies',
  {
    id: uuid('id').primaryKey(),
    number: number(),
    tenantId: tenantId(),
    name: text('name').notNull(),
    slug: text('slug'),
    description: text('description'),
    locales: json('locales').$type<Translations>().notNull(),
    owner: text('owner').$type<Owner>().notNull(),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (table) => [
    unique('hierarchies_tenant_id').on(table.tenantId, table.id),
    index('hierarchies_newest').on(table.tenantId, table.number),
    check('hierarchies_owner', sql`${table.owner} in ('store', 'organization')`),
  ],
)

export const nodes = pgTable(
  'nodes',
  {
    id: uuid('id').primaryKey(),
    number: number(),
    tenantId: uuid('tenant_id').notNull(),
    hierarchyId: uuid('hierarchy_id').notNull(),
    /** Null at the root. */
    parentId: uuid('parent_id'),
    name: text('name').notNull(),
    slug: text('slug'),
    description: text('description'),
    locales: json('locales').$type<Translations>().notNull(),
    curatedProducts: json('curated_products').$type<readonly string[]>().notNull(),
    sortOrder: integer('sort_order'),
    owner: text('owner').$type<Owner>().notNull(),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (table) => [
    unique('nodes_hierarchy_id').on(table.hierarchyId, table.id),
    index('nodes_by_parent').on(table.hierarchyId, table.parentId),
    uniqueIndex('nodes_name').on(table.hierarchyId, sql`coalesce(parent_id, hierarchy_id)`, table.name),
    uniqueIndex('nodes_slug').on(table.hierarchyId, sql`coalesce(parent_id, hierarchy_id)`, table.slug),
    foreignKey({
      name: 'nodes_hierarchy',
      columns: [table.tenantId, table.hierarchyId],
      foreignColumns: [hierarchies.tenantId, hierarchies.id],
    }).onDelete('cascade'),
    foreignKey({
      name: 'nodes_parent',
      columns: [table.hierarchyId, table.parentId],
      foreignColumns: [table.hierarchyId, table.id],
    }).onDelete('cascade'),
    check('nodes_owner', sql`${table.owner} in ('store', 'organization')`),
  ],
)

// ── Webhooks in ─────────────────────────────────────────────────────────────────────────────────────────────────────

const bytea = customType<{ data: Uint8Array }>({ dataType: () => 'bytea' })

export const hookSources = pgTable(
  'hook_sources',
  {
    id: uuid('id').primaryKey(),
    tenantId: tenantId(),
    tokenId: uuid('token_id').notNull(),
    name: text('name').notNull(),
    verifier: json('verifier').$type<HookVerifier>().notNull(),
    /** Sealed with a key that is not in the database. */
    secrets: json('secrets').$type<readonly string[]>().notNull(),
    mapping: json('mapping').$type<HookMapping>().notNull(),
    enabled: boolean('enabled').notNull(),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (table) => [unique('hook_sources_tenant_id').on(table.tenantId, table.id)],
)

/** Events as they arrived: what is acknowledged is here. */
export const inbox = pgTable(
  'inbox',
  {
    id: uuid('id').primaryKey(),
    /** Their order of arrival. Without an index of its own: the planner would take it for that of what waits. */
    number: bigint('number', { mode: 'number' }).notNull().generatedAlwaysAsIdentity(),
    tenantId: uuid('tenant_id').notNull(),
    sourceId: uuid('source_id').notNull(),
    key: text('key').notNull(),
    saidId: text('said_id'),
    headers: json('headers').$type<Readonly<Record<string, string>>>().notNull(),
    body: bytea('body').notNull(),
    state: text('state').$type<HookEventState>().notNull(),
    attempts: integer('attempts').notNull().default(0),
    claimedUntil: time('claimed_until'),
    results: json('results').$type<readonly HookResult[]>().notNull().default([]),
    problemCode: text('problem_code').$type<ErrorCode>(),
    problemDetail: text('problem_detail'),
    receivedAt: time('received_at').notNull().defaultNow(),
    processedAt: time('processed_at'),
  },
  (table) => [
    unique('inbox_key').on(table.sourceId, table.key),
    index('inbox_by_source').on(table.sourceId, table.id),
    index('inbox_said_ids')
      .on(table.sourceId, table.saidId)
      .where(sql`said_id is not null`),
    index('inbox_waiting')
      .on(table.sourceId, table.number)
      .where(sql`state = 'received'`),
    index('inbox_by_age')
      .on(table.receivedAt)
      .where(sql`state <> 'received'`),
    check('inbox_state', sql`${table.state} in ('received', 'processed', 'quarantined', 'ignored')`),
    foreignKey({
      name: 'inbox_source',
      columns: [table.tenantId, table.sourceId],
      foreignColumns: [hookSources.tenantId, hookSources.id],
    }).onDelete('cascade'),
  ],
)

/** Which ingest an item of an event is, however often it comes. It outlives the event. */
export const hookItems = pgTable(
  'hook_items',
  {
    sourceId: uuid('source_id')
      .notNull()
      .references(() => hookSources.id, { onDelete: 'cascade' }),
    key: text('key').notNull(),
    ingestId: uuid('ingest_id').notNull(),
  },
  (table) => [primaryKey({ columns: [table.sourceId, table.key] })],
)

/** The greatest version of each subject that events have told of. */
export const hookSubjects = pgTable(
  'hook_subjects',
  {
    sourceId: uuid('source_id')
      .notNull()
      .references(() => hookSources.id, { onDelete: 'cascade' }),
    subject: text('subject').notNull(),
    version: text('version').notNull(),
  },
  (table) => [primaryKey({ columns: [table.sourceId, table.subject] })],
)

// ── Files at other addresses ────────────────────────────────────────────────────────────────────────────────────────

export const urlSources = pgTable(
  'url_sources',
  {
    tenantId: tenantId(),
    /** Not the address itself, which may open something, and is longer than an index takes. */
    urlSha256: text('url_sha256').notNull(),
    etag: text('etag'),
    lastModified: text('last_modified'),
    digest: text('digest').$type<Digest>().notNull(),
    fileName: text('file_name'),
    fetchedAt: time('fetched_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.urlSha256] }), index('url_sources_by_age').on(table.fetchedAt)],
)

// ── Imports ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export const imports = pgTable(
  'imports',
  {
    id: uuid('id').primaryKey(),
    tenantId: tenantId(),
    tokenId: uuid('token_id').notNull(),
    name: text('name').notNull(),
    mode: text('mode').$type<ImportMode>().notNull(),
    onError: text('on_error').$type<'skip' | 'stop'>().notNull(),
    createProducts: boolean('create_products').notNull(),
    parkMs: bigint('park_ms', { mode: 'number' }).notNull(),
    state: text('state').$type<ImportState>().notNull().default('open'),
    rowCount: integer('row_count').notNull().default(0),
    /** Grows whenever what was planned is void. */
    planEpoch: integer('plan_epoch').notNull().default(0),
    planHash: text('plan_hash'),
    planIsBinding: boolean('plan_is_binding').notNull().default(false),
    undoForce: boolean('undo_force').notNull().default(false),
    /** Rows at fault when it was resumed: they do not stop it again. */
    faultsSeen: integer('faults_seen').notNull().default(0),
    claimedUntil: time('claimed_until'),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
    startedAt: time('started_at'),
    finishedAt: time('finished_at'),
  },
  (table) => [
    index('imports_by_tenant').on(table.tenantId, table.id),
    index('imports_working')
      .on(table.claimedUntil)
      .where(sql`state in ('applying', 'stopping', 'undoing')`),
    index('imports_idle')
      .on(table.updatedAt)
      .where(sql`state in ('open', 'planned', 'stopped', 'finished', 'undone')`),
    check(
      'imports_state',
      sql`${table.state} in ('open', 'planned', 'applying', 'stopping', 'stopped', 'finished', 'undoing', 'undone')`,
    ),
  ],
)

/** What an import has to do with each product. */
export const importProducts = pgTable(
  'import_products',
  {
    importId: uuid('import_id')
      .notNull()
      .references(() => imports.id, { onDelete: 'cascade' }),
    firstLine: integer('first_line').notNull(),
    /** The product's id, or how the rows name it while it is not there. */
    key: text('key').notNull(),
    product: text('product').notNull(),
    productId: uuid('product_id'),
    state: text('state').$type<ImportProductState>().notNull().default('planned'),
    plannedVersion: integer('planned_version').notNull().default(0),
    /** The version that the first change has made, and how many more the last one made. */
    preparedVersion: integer('prepared_version'),
    settledVersions: integer('settled_versions').notNull().default(0),
    /** The rows of its images before the first change, as they were. */
    before: json('before').$type<unknown>(),
    problem: json('problem').$type<Problem>(),
  },
  (table) => [
    primaryKey({ columns: [table.importId, table.firstLine] }),
    unique('import_products_key').on(table.importId, table.key),
    index('import_products_by_state').on(table.importId, table.state, table.firstLine),
    check(
      'import_products_state',
      sql`${table.state} in ('planned', 'parked', 'prepared', 'settled', 'restored', 'changed_since', 'unrestorable')`,
    ),
  ],
)

export const importRows = pgTable(
  'import_rows',
  {
    importId: uuid('import_id')
      .notNull()
      .references(() => imports.id, { onDelete: 'cascade' }),
    line: integer('line').notNull(),
    /** The first line of its product. */
    groupLine: integer('group_line'),
    state: text('state').$type<RowState>().notNull(),
    action: text('action').$type<RowAction>(),
    changes: json('changes').$type<readonly string[]>().notNull().default([]),
    problem: json('problem').$type<Problem>(),
    product: text('product'),
    source: json('source').$type<RowSource>(),
    /** Of the source, so that the sweeper leaves the bytes alone. */
    stagedKey: text('staged_key'),
    wishes: json('wishes').$type<RowWishes>().notNull().default({}),
    productId: uuid('product_id'),
    imageId: uuid('image_id'),
    ingestId: uuid('ingest_id'),
    /** Of a new image, once it is decided. */
    placement: json('placement').$type<Placement>(),
  },
  (table) => [
    primaryKey({ columns: [table.importId, table.line] }),
    index('import_rows_by_product').on(table.importId, table.groupLine, table.line),
    index('import_rows_by_state').on(table.importId, table.state, table.line),
    index('import_rows_ready')
      .on(table.importId, table.line)
      .where(sql`state = 'pending' and placement is not null`),
    index('import_rows_staged')
      .on(table.stagedKey)
      .where(sql`staged_key is not null`),
    check('import_rows_state', sql`${table.state} in ('invalid', 'pending', 'parked', 'running', 'done', 'skipped', 'failed')`),
  ],
)

// ── Uploads that are asked for before they are made ─────────────────────────────────────────────────────────────────

export const uploads = pgTable(
  'uploads',
  {
    /** That of the ingest, too. */
    id: uuid('id').primaryKey(),
    tenantId: tenantId(),
    tokenId: uuid('token_id').notNull(),
    state: text('state').$type<UploadState>().notNull().default('open'),
    bytes: bigint('bytes', { mode: 'number' }).notNull(),
    declaredType: text('declared_type'),
    fileName: text('file_name'),
    sha256: text('sha256').$type<Digest>(),
    productId: uuid('product_id'),
    target: json('target').$type<WithoutProduct<Target>>(),
    bucketKey: text('bucket_key'),
    metadata: json('metadata').$type<Readonly<Record<string, string | null>>>(),
    parts: json('parts').$type<readonly UploadPart[]>().notNull().default([]),
    createdAt: createdAt(),
    expiresAt: time('expires_at').notNull(),
    takenAt: time('taken_at').notNull().defaultNow(),
    settledAt: time('settled_at'),
  },
  (table) => [
    index('uploads_unsettled')
      .on(table.takenAt)
      .where(sql`settled_at is null`),
    index('uploads_unsettled_of_tenant')
      .on(table.tenantId)
      .where(sql`settled_at is null`),
    index('uploads_by_age')
      .on(table.settledAt)
      .where(sql`settled_at is not null`),
    check('uploads_state', sql`${table.state} in ('open', 'completed', 'expired', 'cancelled')`),
  ],
)

// ── Webhooks out ────────────────────────────────────────────────────────────────────────────────────────────────────

export const webhooks = pgTable(
  'webhooks',
  {
    id: uuid('id').primaryKey(),
    tenantId: tenantId(),
    url: text('url').notNull(),
    description: text('description'),
    events: text('events').array().$type<readonly WebhookEvent[]>().notNull(),
    enabled: boolean('enabled').notNull(),
    disabledBecause: text('disabled_because').$type<NonNullable<Webhook['disabledBecause']>>(),
    /** What secrets are derived with; without the key of the installation they are of no use. */
    salts: json('salts').$type<readonly { readonly salt: string; readonly until: string | null }[]>().notNull(),
    failures: integer('failures').notNull().default(0),
    failingSince: time('failing_since'),
    pausedUntil: time('paused_until'),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (table) => [
    unique('webhooks_tenant_id').on(table.tenantId, table.id),
    check('webhooks_disabled_because', sql`${table.disabledBecause} in ('gone', 'failing')`),
  ],
)

/** One event on its way to one endpoint. What makes the event true writes it, in the same transaction. */
export const webhookDeliveries = pgTable(
  'webhook_deliveries',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    /** Their order: of those of one product, that of its changes. */
    number: number(),
    tenantId: uuid('tenant_id').notNull(),
    webhookId: uuid('webhook_id').notNull(),
    eventId: uuid('event_id').notNull(),
    event: text('event').$type<WebhookDelivery['event']>().notNull(),
    /** Those of one subject are delivered one after the other: the product, or whatever else the event is about. */
    subject: uuid('subject').notNull(),
    body: text('body').notNull(),
    state: text('state').$type<DeliveryState>().notNull().default('pending'),
    attempts: integer('attempts').notNull().default(0),
    dueAt: time('due_at').notNull().defaultNow(),
    /** Set while an attempt is under way. */
    claimedUntil: time('claimed_until'),
    log: json('log').$type<readonly WebhookAttempt[]>().notNull().default([]),
    createdAt: createdAt(),
    finishedAt: time('finished_at'),
  },
  (table) => [
    index('webhook_deliveries_newest').on(table.webhookId, table.number),
    index('webhook_deliveries_by_event').on(table.webhookId, table.eventId),
    index('webhook_deliveries_due')
      .on(table.webhookId, table.dueAt)
      .where(sql`state = 'pending'`),
    index('webhook_deliveries_in_line')
      .on(table.webhookId, table.subject, table.number)
      .where(sql`state = 'pending'`),
    index('webhook_deliveries_under_way')
      .on(table.webhookId, table.claimedUntil)
      .where(sql`claimed_until is not null`),
    index('webhook_deliveries_by_age').on(table.createdAt),
    check('webhook_deliveries_state', sql`${table.state} in ('pending', 'delivered', 'failed')`),
    foreignKey({
      name: 'webhook_deliveries_webhook',
      columns: [table.tenantId, table.webhookId],
      foreignColumns: [webhooks.tenantId, webhooks.id],
    }).onDelete('cascade'),
  ],
)
