import {
  type BlobRef,
  type Blobs,
  type BlobRow,
  type BlobUse,
  type Digest,
  type FileId,
  type ImageId,
  isUuid,
  type ProductId,
  type TenantId,
} from '@sluice/core'
import type { Db } from './connection.ts'
import { type SQL, sql } from './drizzle.ts'
import { only } from './rows.ts'
import type { Runner } from './transaction.ts'

/** The hash of the lock that a commit shares and a removal has alone. */
export function blobLock(tenantId: SQL, digest: string): SQL {
  return sql`hashtextextended(${tenantId}::text || '/' || ${digest}::text, 2)`
}

/** Whether a run that began at that time may have seen objects that are gone by now, or will be. */
export function isGone(tenantId: string, digest: string, since: Date): SQL {
  return sql`exists (
    select from blob_removals where tenant_id = ${tenantId} and digest = ${digest}
      and (begun_at is not null or ended_at >= ${since.toISOString()}::timestamptz))`
}

export function openBlobs({ query, transaction }: Runner): Blobs {
  return {
    async now() {
      const rows = await query((db) => db.execute<{ now: string | Date }>(sql`select clock_timestamp() as now`))
      return new Date(only(rows).now)
    },
    async count() {
      const rows = await query((db) => db.execute<{ count: number }>(sql`select count(*)::float8 as count from blobs`))
      return only(rows).count
    },
    list: (limit, after) =>
      query((db) =>
        blobRows(
          db,
          after ? sql`(blobs.tenant_id, blobs.digest) > (${after.tenantId}::uuid, ${after.digest}::text)` : sql`true`,
          limit,
        ),
      ),
    findMany: (refs) => query((db) => blobRows(db, sql`(blobs.tenant_id, blobs.digest) in (${among(refs)})`, refs.length)),
    uses: (refs, limit) => query((db) => usesOf(db, refs, limit)),
    copies: (ref) => query((db) => copiesOf(db, ref)),
    async mark(refs) {
      const rows = await query((db) =>
        db.execute(sql`
          insert into blob_removals as removal (tenant_id, digest, marked_at)
          select tenant_id, digest, clock_timestamp() from blobs
          where (tenant_id, digest) in (${among(refs)}) and not ${isShown}
          order by tenant_id, digest
          on conflict (tenant_id, digest) do update set marked_at = excluded.marked_at
          where removal.marked_at is null or removal.marked_at < (
            select last_seen_at from blobs where tenant_id = removal.tenant_id and digest = removal.digest)
          returning 1`),
      )
      return rows.length
    },
    beginRemoval: (ref, graceMs) => transaction((db) => beginRemoval(db, ref, graceMs)),
    async endRemoval({ tenantId, digest }) {
      await query((db) =>
        db.execute(sql`
          update blob_removals set begun_at = null, ended_at = clock_timestamp()
          where tenant_id = ${tenantId} and digest = ${digest} and begun_at is not null`),
      )
    },
    async takeOverRemovals(idleMs, limit) {
      const rows = await query((db) =>
        db.execute<Ref>(sql`
          with left_behind as materialized (
            select tenant_id, digest from blob_removals
            where begun_at < clock_timestamp() - ${idleMs}::float8 * interval '1 ms'
            order by begun_at limit ${limit} for update skip locked
          )
          update blob_removals as removal set begun_at = clock_timestamp() from left_behind
          where removal.tenant_id = left_behind.tenant_id and removal.digest = left_behind.digest
          returning removal.tenant_id, removal.digest`),
      )
      return rows.map(refOf)
    },
    async forgetRemovals(keptMs, limit) {
      const rows = await query((db) =>
        db.execute(sql`
          delete from blob_removals where (tenant_id, digest) in (
            select tenant_id, digest from blob_removals
            where ended_at < clock_timestamp() - ${keptMs}::float8 * interval '1 ms' and begun_at is null and marked_at is null
            order by ended_at limit ${limit} for update skip locked)
          returning 1`),
      )
      return rows.length
    },
  }
}

interface Ref extends Record<string, unknown> {
  readonly tenant_id: string
  readonly digest: string
}

function refOf({ tenant_id: tenantId, digest }: Ref): BlobRef {
  return { tenantId: tenantId as TenantId, digest: digest as Digest }
}

const isShown = sql`exists (select from files where files.tenant_id = blobs.tenant_id and files.digest = blobs.digest)`

function among(refs: readonly BlobRef[]): SQL {
  const given = refs.filter(({ tenantId }) => isUuid(tenantId)).map(({ tenantId, digest }) => ({ tenant_id: tenantId, digest }))
  return sql`select tenant_id, digest from json_to_recordset(${JSON.stringify(given)}::json) as given (tenant_id uuid, digest text)`
}

async function blobRows(db: Db, where: SQL, limit: number): Promise<readonly BlobRow[]> {
  const rows = await db.execute<RawBlob>(sql`
    select blobs.tenant_id, blobs.digest, bytes::float8 as bytes, media_type, ${isShown} as is_shown,
      case when marked_at >= last_seen_at
        then (extract(epoch from clock_timestamp() - marked_at) * 1000)::float8 end as marked_ms
    from blobs left join blob_removals as removal on removal.tenant_id = blobs.tenant_id and removal.digest = blobs.digest
    where ${where} order by blobs.tenant_id, blobs.digest limit ${limit}`)
  return rows.map(blobRowOf)
}

interface RawBlob extends Ref {
  readonly bytes: number
  readonly media_type: string
  readonly is_shown: boolean
  readonly marked_ms: number | null
}

function blobRowOf(row: RawBlob): BlobRow {
  const { bytes, media_type: mediaType, is_shown: isReferenced } = row
  return { ...refOf(row), bytes, mediaType, isReferenced, markedMs: isReferenced ? null : row.marked_ms }
}

async function usesOf(db: Db, refs: readonly BlobRef[], limit: number): Promise<readonly BlobUse[]> {
  const rows = await db.execute<RawUse>(sql`
    select files.tenant_id, files.digest, files.id as file_id, files.name as file_name, products.id as product_id, products.sku,
      image.id as image_id, image.name
    from files
    left join product_images as image on image.file_id = files.id
    left join products on products.id = image.product_id
    where (files.tenant_id, files.digest) in (${among(refs)})
    order by files.tenant_id, files.digest, files.number, image.number limit ${limit}`)
  return rows.map(blobUseOf)
}

interface RawUse extends Ref {
  readonly file_id: FileId
  readonly file_name: string | null
  /** All of them, or none. */
  readonly product_id: ProductId | null
  readonly sku: string | null
  readonly image_id: ImageId | null
  readonly name: string | null
}

function blobUseOf(row: RawUse): BlobUse {
  const { file_id: fileId, file_name: fileName, product_id: productId, sku, image_id: imageId, name } = row
  const image = productId && imageId && sku !== null && name !== null ? { productId, sku, imageId, name } : null
  return { ...refOf(row), fileId, fileName, image }
}

const COPIES_MAX = 10

/** Staged keys are looked for among the ingests that an index has, those that are not over or have failed. */
async function copiesOf(db: Db, { tenantId, digest }: BlobRef): ReturnType<Blobs['copies']> {
  const staged = await db.execute<{ staged_key: string }>(sql`
    select staged_key from ingests
    where state not in ('committed', 'rejected') and tenant_id = ${tenantId} and digest = ${digest} and staged_key is not null
    limit ${COPIES_MAX}`)
  const elsewhere = await db.execute<Ref>(sql`
    select blobs.tenant_id, blobs.digest from tenants
    join blobs on blobs.tenant_id = tenants.id and blobs.digest = ${digest}
    where tenants.id <> ${tenantId} limit ${COPIES_MAX}`)
  return { stagedKeys: staged.map(({ staged_key: key }) => key), blobs: elsewhere.map(refOf) }
}

/** The lock comes first, and by itself: what is read after it is what the last holder has left. */
async function beginRemoval(db: Db, { tenantId, digest }: BlobRef, graceMs: number): Promise<boolean> {
  await db.execute(sql`select pg_advisory_xact_lock(${blobLock(sql`${tenantId}::uuid`, digest)})`)
  const rows = await db.execute(sql`
    with gone as (
      delete from blobs where tenant_id = ${tenantId} and digest = ${digest} and not ${isShown} and exists (
        select from blob_removals as removal
        where removal.tenant_id = blobs.tenant_id and removal.digest = blobs.digest and removal.marked_at >= blobs.last_seen_at
          and removal.marked_at <= clock_timestamp() - ${graceMs}::float8 * interval '1 ms')
      returning 1
    )
    insert into blob_removals as removal (tenant_id, digest, begun_at)
    select ${tenantId}::uuid, ${digest}::text, clock_timestamp()
    where exists (select from gone) or not exists (select from blobs where tenant_id = ${tenantId} and digest = ${digest})
    on conflict (tenant_id, digest) do update set begun_at = excluded.begun_at, marked_at = null where removal.begun_at is null
    returning 1`)
  return rows.length > 0
}
