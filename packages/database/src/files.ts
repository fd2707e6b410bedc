import {
  type Commit,
  type Digest,
  type Facts,
  type FileCondition,
  type FileId,
  type Files,
  fileCode,
  isUuid,
  type Owner,
  refuseOwned,
  SluiceError,
  type TenantId,
} from '@sluice/core'
import { and, asc, eq, getTableColumns, type SQL, sql } from './drizzle.ts'
import type { Db } from './connection.ts'
import { changedImages, deliveriesOf } from './events.ts'
import { arrayLiteral, fileOf, isText } from './rows.ts'
import { blobs, files } from './schema.ts'
import { prepared, type Runner } from './transaction.ts'

/** A file's row beside the facts of its blob. */
export const isItsBlob = and(eq(blobs.tenantId, files.tenantId), eq(blobs.digest, files.digest))

const isOfTenant = eq(files.tenantId, sql.placeholder('tenantId'))
const byId = prepared((db) =>
  selectFiles(db)
    .where(and(isOfTenant, eq(files.id, sql.placeholder('id'))))
    .prepare('file_by_id'),
)
const byCode = prepared((db) =>
  selectFiles(db)
    .where(and(isOfTenant, eq(files.code, sql.placeholder('code'))))
    .prepare('file_by_code'),
)
const byIds = prepared((db) =>
  selectFiles(db)
    .where(and(isOfTenant, sql`${files.id} = any(${sql.placeholder('ids')}::uuid[])`))
    .prepare('files_by_id'),
)
const factsByDigest = prepared((db) =>
  db
    .select({ facts: blobs.facts })
    .from(blobs)
    .where(and(eq(blobs.tenantId, sql.placeholder('tenantId')), eq(blobs.digest, sql.placeholder('digest'))))
    .prepare('facts_by_digest'),
)

function selectFiles(db: Db) {
  return db
    .select({ file: getTableColumns(files), facts: blobs.facts })
    .from(files)
    .innerJoin(blobs, isItsBlob)
}

export function openFiles({ query, transaction }: Runner): Files {
  return {
    async find(tenantId: TenantId, id: FileId) {
      if (!isUuid(id)) return null
      const [row] = await query((db) => byId(db).execute({ tenantId, id }))
      return row ? fileOf(row.file, row.facts) : null
    },
    async findByCode(tenantId, code) {
      if (!isText(code)) return null
      const [row] = await query((db) => byCode(db).execute({ tenantId, code }))
      return row ? fileOf(row.file, row.facts) : null
    },
    async findMany(tenantId, fileIds) {
      const rows = await query((db) => byIds(db).execute({ tenantId, ids: arrayLiteral(fileIds.filter(isUuid)) }))
      return rows.map(({ file, facts }) => fileOf(file, facts))
    },
    list: (tenantId, filter, page) => query((db) => listFiles(db, tenantId, filter, page)),
    async remove(tenantId, fileId) {
      if (!isUuid(fileId)) return false
      for (let round = 0; round < ROUNDS_MAX; round++) {
        const removed = await transaction((db) => removeFile(db, tenantId, fileId))
        if (removed !== null) return removed
      }
      throw new SluiceError('write_conflicted')
    },
    async findByDigests(tenantId, digests) {
      const rows = await query((db) =>
        db.execute<{ digest: Digest; id: FileId }>(sql`
          select distinct on (digest) digest, id from files
          where tenant_id = ${tenantId} and digest = any(${arrayLiteral(digests.filter(isText))}::text[])
          order by digest, number`),
      )
      return new Map(rows.map(({ digest, id }) => [digest, id]))
    },
    async findFacts(tenantId: TenantId, digest: Digest): Promise<Facts | null> {
      if (!isText(digest)) return null
      const [row] = await query((db) => factsByDigest(db).execute({ tenantId, digest }))
      return row?.facts ?? null
    },
  }
}

// ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

type NewFile = Extract<Commit['file'], { kind: 'new' }>

/** Facts belong to the bytes: those that were found first stay. */
export function fileParts({ id, name, facts }: NewFile, tenantId: string): SQL[] {
  return [
    sql`blob as (${seenBlob(facts, tenantId)})`,
    sql`file as (
      insert into files (id, tenant_id, code, digest, name)
      values (${id}, ${tenantId}, ${fileCode(id, name)}, ${facts.digest}, ${name})
    )`,
  ]
}

/** Holds the blob's row until the end of the transaction. */
function seenBlob(facts: Facts, tenantId: string): SQL {
  const { digest, mediaType, bytes } = facts
  return sql`
    insert into blobs (tenant_id, digest, facts, media_type, bytes)
    values (${tenantId}, ${digest}, ${JSON.stringify(facts)}, ${mediaType}, ${bytes})
    on conflict (tenant_id, digest) do update set last_seen_at = clock_timestamp()`
}

/**
 * The oldest file of these bytes and this name. The blob is locked by a statement of its own: one that had to wait for it
 * would not see the file that the last holder has left. Both travel together.
 */
export async function equalFile(db: Db, tenantId: string, { name, facts }: NewFile): Promise<string | null> {
  const [, [row]] = await Promise.all([
    db.execute(seenBlob(facts, tenantId)),
    db.execute<{ id: string }>(sql`
      select id from files
      where tenant_id = ${tenantId} and digest = ${facts.digest} and name is not distinct from ${name}::text
      order by number limit 1 for key share`),
  ])
  return row?.id ?? null
}

const ROUNDS_MAX = 10

/**
 * Products are locked before files, as a commit does it. Null when the file was hung on one more product before it was locked:
 * then it must be begun again.
 */
async function removeFile(db: Db, tenantId: TenantId, fileId: FileId): Promise<boolean | null> {
  const shows = sql`select product_id from product_images where file_id = ${fileId}`
  const [locked, [file], showing] = await Promise.all([
    db.execute<{ id: string; owner: Owner }>(sql`
      select id, owner from products where tenant_id = ${tenantId} and id in (${shows}) order by id for update`),
    db.execute(sql`select id from files where tenant_id = ${tenantId} and id = ${fileId} for update`),
    db.execute<{ product_id: string }>(shows),
  ])
  if (!file) return false
  const held = new Set(locked.map(({ id }) => id))
  if (showing.some(({ product_id: id }) => !held.has(id))) return null
  for (const { owner } of locked) refuseOwned(owner)
  await db.execute(sql`
    with images as (
      delete from product_images where file_id = ${fileId} returning product_id
    ), counted as (
      select product_id, count(*)::int as gone from images group by product_id
    ), changed as (
      update products set version = version + 1, image_count = image_count - gone, updated_at = clock_timestamp()
      from counted where id = product_id returning products.*
    ), told as (${deliveriesOf(changedImages('changed', 1))}) delete from files where id = ${fileId}`)
  return true
}

// ── Listing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

async function listFiles(
  db: Db,
  tenantId: TenantId,
  filter: readonly FileCondition[],
  { offset, limit, withTotal }: Parameters<Files['list']>[2],
): ReturnType<Files['list']> {
  if (!filter.every(canHold)) return { items: [], total: 0 }
  const where = and(eq(files.tenantId, tenantId), filter.length === 0 ? undefined : holds(filter))
  const rows = await selectFiles(db).where(where).orderBy(asc(files.number)).limit(limit).offset(offset)
  const counting = db
    .select({ total: sql<number>`count(*)::int` })
    .from(files)
    .innerJoin(blobs, isItsBlob)
    .where(where)
  const [counted] = withTotal ? await counting : []
  return { items: rows.map(({ file, facts }) => fileOf(file, facts)), total: counted?.total ?? 0 }
}

/** False when it asks for what no row can bear. */
function canHold({ value }: FileCondition): boolean {
  return typeof value === 'number' ? Number.isFinite(value) : isText(value) && value.isWellFormed()
}

/** One statement for all conditions that there can be: each statement stays in the session. */
function holds(filter: readonly FileCondition[]): SQL {
  const wanted = filter.map((one) => (one.operator === 'like' ? { ...one, value: patternOf(one.value) } : one))
  return sql`not exists (
    select from json_to_recordset(${JSON.stringify(wanted)}::json) as wanted (field text, operator text, value text)
    where case wanted.operator
      when 'like' then ${files.name} ilike wanted.value
      when 'eq' then case wanted.field when 'name' then ${files.name} = wanted.value else ${MEASURE} = wanted.value::numeric end
      when 'lt' then ${MEASURE} < wanted.value::numeric
      when 'le' then ${MEASURE} <= wanted.value::numeric
      when 'gt' then ${MEASURE} > wanted.value::numeric
      when 'ge' then ${MEASURE} >= wanted.value::numeric
    end is not true)`
}

/** PostgreSQL takes nothing out of JSON in which a text has a NUL or half of a surrogate pair, as EXIF may; so those go first. */
const SOUND_FACTS = sql`regexp_replace(${blobs.facts}::text, '\\\\u(0000|d[89a-f][0-9a-f]{2})', '\\\\ufffd', 'gi')::json`
const MEASURE = sql`case wanted.field when 'bytes' then ${blobs.bytes}::numeric else (${SOUND_FACTS} ->> wanted.field)::numeric end`

function patternOf(like: string): string {
  return like.replace(/[\\%_]/g, '\\$&').replaceAll('*', '%')
}
