/** What describes a catalogue: attributes, channels, store views, hierarchies. */
import type { Owner, Translations } from '@sluice/core'
import {
  sql,
  bigint,
  boolean,
  check,
  foreignKey,
  index,
  integer,
  json,
  pgTable,
  primaryKey,
  text,
  unique,
  uniqueIndex,
  uuid,
} from '../drizzle.ts'
import { tenantId } from './access.ts'
import { createdAt, updatedAt, number } from './columns.ts'

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
