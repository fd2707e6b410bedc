/** Products, and the images on them. */
import type { Owner, ProductKind } from '@sluice/core'
import { sql, boolean, check, foreignKey, index, integer, json, pgTable, primaryKey, text, unique, uuid } from '../drizzle.ts'
import { tenantId } from './access.ts'
import { files } from './files.ts'
import { createdAt, updatedAt, number } from './columns.ts'

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
