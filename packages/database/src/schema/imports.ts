/** Imports: their products and rows, as planned and as done. */
import type {
  ImportMode,
  ImportProductState,
  ImportState,
  Placement,
  Problem,
  RowAction,
  RowSource,
  RowState,
  RowWishes,
} from '@sluice/core'
import { sql, bigint, boolean, check, index, integer, json, pgTable, primaryKey, text, unique, uuid } from '../drizzle.ts'
import { tenantId } from './access.ts'
import { time, createdAt, updatedAt } from './columns.ts'

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
