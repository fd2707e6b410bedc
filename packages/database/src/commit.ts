/** The one transaction that changes the catalogue: lock, look, write. Three round trips, and one for each special wish: a rank, a slot, a file once, a file to reuse. */
import {
  type Commit,
  failpoint,
  type ImageChange,
  type ImageId,
  type IngestState,
  isTerminal,
  type Limits,
  MAIN_ROLE,
  type Owner,
  type Placement,
  refuseOwned,
  SluiceError,
} from '@sluice/core'
import { type SQL, sql } from './drizzle.ts'
import { blobLock, isGone } from './blobs.ts'
import type { Db } from './connection.ts'
import { changedImages, deliveriesOf, endedIngests } from './events.ts'
import { equalFile, fileParts } from './files.ts'
import { changeImage, storeValues } from './image-change.ts'
import { endPosition, givenRoles, GLOBAL, mainImage, makeRoom } from './image-order.ts'
import { INGEST_CHANNEL } from './signals.ts'
import { note } from './timeline.ts'
import type { Runner } from './transaction.ts'

export async function commitIngest(
  { transaction }: Runner,
  commit: Commit,
  limits: Pick<Limits, 'imagesPerProductMax'>,
): Promise<IngestState> {
  try {
    return await transaction(async (db) => {
      const locked = await lock(db, commit)
      failpoint('w-tx-locked')
      if (isTerminal(locked.state)) return locked.state
      await write(db, commit, await look(db, locked, commit, limits))
      failpoint('w-before-commit')
      return 'committed'
    })
  } catch (error) {
    // A conflict is nobody's fault: as a 4xx it would end the ingest as rejected.
    if (!SluiceError.is(error, 'write_conflicted')) throw error
    throw new SluiceError('service_unavailable', error.message, { cause: error.cause })
  }
}

interface Locked extends Record<string, unknown> {
  readonly state: IngestState
  readonly tenant_id: string
  readonly product_id: string | null
  readonly owner: Owner | null
  readonly accepts_images: boolean | null
  readonly image_count: number | null
  readonly file_id: string | null
}

/** First the ingest, then its product, then the file or the bytes of a new one: all who lock several do it in this order. */
async function lock(db: Db, { ingestId, file }: Commit): Promise<Locked> {
  const shared =
    file.kind === 'new' ? sql`pg_advisory_xact_lock_shared(${blobLock(sql`ingest.tenant_id`, file.facts.digest)})` : sql`null`
  const [row] = await db.execute<Locked>(sql`
    with ingest as (
      select id, tenant_id, state, product_id from ingests where id = ${ingestId} for update
    ), product as (
      select product.id, product.owner, product.accepts_images, product.image_count from ingest
      join products as product on product.tenant_id = ingest.tenant_id and product.id = ingest.product_id
      where ingest.state not in ('committed', 'rejected', 'failed') for update of product
    ), file as (
      select files.id from (select tenant_id from ingest left join product on true) as asked
      join files on files.tenant_id = asked.tenant_id and files.id = ${file.id} for key share of files
    )
    select ingest.state, ingest.tenant_id, product.id as product_id, product.owner, product.accepts_images, product.image_count,
      file.id as file_id, ${shared} as shared
    from ingest left join product on true left join file on true`)
  if (!row) throw new SluiceError('ingest_unknown')
  return row
}

interface LockedProduct {
  readonly id: string
  readonly imageCount: number
}

/** What the writing needs to know. */
interface Found {
  readonly tenantId: string
  readonly fileId: string
  /** The file is written by this commit. */
  readonly isNewFile: boolean
  readonly image: FoundImage | null
}

type FoundImage =
  | (Extract<Commit['image'], { kind: 'attach' }> & { readonly product: LockedProduct })
  /** It is there, and shows the file from now on. */
  | {
      readonly kind: 'refill'
      readonly id: ImageId
      readonly change: ImageChange | null
      readonly placement: Placement | null
      readonly product: LockedProduct
    }

async function look(
  db: Db,
  locked: Locked,
  { file, image }: Commit,
  limits: Pick<Limits, 'imagesPerProductMax'>,
): Promise<Found> {
  const { tenant_id: tenantId } = locked
  if (file.kind === 'existing' && locked.file_id === null) throw new SluiceError('file_reference_unknown')
  const known = file.kind === 'new' && file.reuses ? await equalFile(db, tenantId, file) : null
  const fileId = known ?? file.id
  return {
    tenantId,
    fileId,
    isNewFile: file.kind === 'new' && known === null,
    image: image && (await lookAtImage(db, locked, fileId, image, limits)),
  }
}

async function lookAtImage(
  db: Db,
  { product_id: id, owner, accepts_images: acceptsImages, image_count: imageCount }: Locked,
  fileId: string,
  image: NonNullable<Commit['image']>,
  limits: Pick<Limits, 'imagesPerProductMax'>,
): Promise<FoundImage> {
  if (id === null || owner === null || imageCount === null) throw new SluiceError('product_unknown')
  refuseOwned(owner)
  const product = { id, imageCount }
  if (image.kind === 'replace') {
    return { kind: 'refill', id: image.id, change: image.change, placement: null, product }
  }
  if (acceptsImages === false) throw new SluiceError('images_unsupported')
  const { replacesMain } = image.placement
  if (replacesMain && (await mainImage(db, id)) !== replacesMain.imageId) throw new SluiceError('main_image_changed')
  const occupant = await meantImage(db, id, fileId, image.placement)
  if (occupant !== null) return { kind: 'refill', id: occupant, change: null, placement: image.placement, product }
  checkRoom(product, limits)
  return { ...image, product }
}

function checkRoom({ imageCount }: LockedProduct, { imagesPerProductMax }: Pick<Limits, 'imagesPerProductMax'>): void {
  if (imageCount < imagesPerProductMax) return
  throw new SluiceError('images_exceeded', `A product may have ${imagesPerProductMax} images.`, {
    details: { imagesPerProductMax },
  })
}

/** The image that the product has in this slot, or of this file, where one is all that is wanted. */
async function meantImage(db: Db, productId: string, fileId: string, { slot, oncePerFile }: Placement): Promise<ImageId | null> {
  if (slot === null && !oncePerFile) return null
  const meant = slot === null ? sql`file_id = ${fileId}` : sql`slot = ${slot}`
  const [row] = await db.execute<{ id: ImageId }>(sql`
    select id from product_images where product_id = ${productId} and ${meant} order by position, id limit 1`)
  return row?.id ?? null
}

async function write(db: Db, commit: Commit, { tenantId, fileId, isNewFile, image }: Found): Promise<void> {
  const parts = isNewFile && commit.file.kind === 'new' ? fileParts(commit.file, tenantId) : []
  if (image?.kind === 'attach') {
    parts.push(...newImageParts(commit.ingestId, image, tenantId, fileId, await freePosition(db, image)))
  } else if (image) {
    if (image.change) await changeImage(db, image.product.id, image.id, image.change)
    parts.push(...refillParts(image, fileId))
  }
  const ended = endedIngests('committed', 2)
  const happened = image ? sql`${ended} union all ${changedImages('product', 1)}` : ended
  parts.push(
    sql`committed as (
      update ingests set state = 'committed', result_file_id = ${fileId}, result_image_id = ${image?.id ?? null},
        problem_code = null, problem_detail = null, problem_details = null,
        updated_at = clock_timestamp(), finished_at = clock_timestamp()
      where id = ${commit.ingestId} returning *
    )`,
    sql`told as (${deliveriesOf(happened)})`,
    sql`noted as (${note('committed', commit.timeline, { step: 'finish', outcome: 'done' })})`,
  )
  const gone = commit.file.kind === 'new' && isNewFile ? isGone(tenantId, commit.file.facts.digest, commit.since) : sql`false`
  const [written] = await db.execute<{ is_gone: boolean }>(
    sql`with ${sql.join(parts, sql`, `)} select ${gone} as is_gone, pg_notify(${INGEST_CHANNEL}, ${commit.ingestId})`,
  )
  if (written?.is_gone) throw new SluiceError('service_unavailable', 'The same bytes were being removed from the store.')
}

async function freePosition(db: Db, { id, placement, product }: Extract<FoundImage, { kind: 'attach' }>): Promise<number | SQL> {
  const { rank, position, store } = placement
  if (position !== null && store === null) return position
  const isAmong = rank !== null && store === null && rank <= product.imageCount
  const room = isAmong ? await makeRoom(db, product.id, id, rank) : null
  return room ?? endPosition(product.id, id)
}

/** What is said for one store view leaves defaults for all others. */
function newImageParts(
  ingestId: string,
  { id, stem, placement, product }: Extract<FoundImage, { kind: 'attach' }>,
  tenantId: string,
  fileId: string,
  position: number | SQL,
): SQL[] {
  const { label, excluded, store, slot } = placement
  const isGlobal = store === null
  const inStore = { label, excluded, ...(placement.position !== null && { position: placement.position }) }
  const own = isGlobal ? [] : [sql`own as (${storeValues(id, store, inStore)})`]
  return [
    ...nameParts(product.id, stem),
    sql`image as (
      insert into product_images
        (id, tenant_id, product_id, file_id, name, position, label, excluded, has_global_values, slot, ingest_id)
      select ${id}::uuid, ${tenantId}::uuid, ${product.id}::uuid, ${fileId}::uuid, given.name, ${position}::int,
        ${isGlobal ? label : ''}, ${isGlobal && excluded}::bool, ${isGlobal}::bool, ${slot}, ${ingestId}::uuid
      from given
    )`,
    ...own,
    ...roleParts(product.id, id, placement),
    changedProduct(product.id, 1),
  ]
}

function refillParts({ id, placement, product }: Extract<FoundImage, { kind: 'refill' }>, fileId: string): SQL[] {
  return [
    sql`image as (update product_images set file_id = ${fileId}, updated_at = now() where id = ${id})`,
    ...(placement ? roleParts(product.id, id, placement) : []),
    changedProduct(product.id, 0),
  ]
}

function changedProduct(productId: string, imagesAdded: number): SQL {
  return sql`product as (
    update products set version = version + 1, image_count = image_count + ${imagesAdded}, updated_at = clock_timestamp()
    where id = ${productId} returning *
  )`
}

/**
 * The next number of the stem whose name was never given: `numberedName` of the core, in SQL. Names that came from other
 * stems can be in the way (`image_2` as a stem of its own); among as many numbers as the product ever had names, one is free.
 */
function nameParts(productId: string, stem: string): SQL[] {
  const numbered = (n: SQL) => sql`case ${n} when 1 then ${stem}::text else ${stem}::text || '_' || ${n} end`
  const isFree = (n: SQL) => sql`not exists (select from image_names where product_id = ${productId} and name = ${numbered(n)})`
  return [
    sql`next as (
      select coalesce((select last_number from image_names where product_id = ${productId} and name = ${stem}), 0) + 1 as number
    )`,
    sql`chosen as (
      select case when ${isFree(sql`next.number`)} then next.number else (
        select min(n) from generate_series(
          next.number + 1, next.number + (select count(*)::int from image_names where product_id = ${productId})
        ) as n where ${isFree(sql`n`)}
      ) end as number from next
    )`,
    sql`given as (select number, ${numbered(sql`number`)} as name from chosen)`,
    sql`remembered as (
      insert into image_names (product_id, name, last_number)
      select ${productId}::uuid, ${stem}::text, number from given
      union all select ${productId}::uuid, name, 0 from given where number > 1
      on conflict (product_id, name) do update set last_number = excluded.last_number
    )`,
  ]
}

/** Roles are taken from whoever has them; where `main` is null, the main role only if nobody has it. One store view gives nothing global. */
function roleParts(productId: string, imageId: string, { roles, main, store }: Placement): SQL[] {
  const given = new Set(roles)
  if (store !== null) return given.size > 0 ? [sql`roles as (${givenRoles(productId, imageId, given, store)})`] : []
  if (main === true) given.add(MAIN_ROLE)
  if (main === false) given.delete(MAIN_ROLE)
  const parts: SQL[] = []
  if (given.size > 0) parts.push(sql`roles as (${givenRoles(productId, imageId, given, GLOBAL)})`)
  if (main === null && !given.has(MAIN_ROLE)) {
    parts.push(sql`main as (
      insert into product_image_roles (product_id, store, role, image_id)
      values (${productId}, ${GLOBAL}, ${MAIN_ROLE}, ${imageId}) on conflict (product_id, store, role) do nothing
    )`)
  }
  return parts
}
