/** The one transaction that changes the catalogue: lock, look, write. Three round trips, four where a rank is asked for. */
import { type Commit, type IngestState, isTerminal, type Limits, MAIN_ROLE, type Placement, SluiceError } from '@sluice/core'
import { type SQL, sql } from './drizzle.ts'
import type { Db } from './connection.ts'
import { endPosition, makeRoom } from './image-order.ts'
import { arrayLiteral } from './rows.ts'
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
      if (isTerminal(locked.state)) return locked.state
      const found = check(locked, commit, limits)
      await write(db, commit, found)
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
  readonly image_count: number | null
  readonly file_id: string | null
}

/** First the ingest, then its product: all who lock both do it in this order. */
async function lock(db: Db, { ingestId, file }: Commit): Promise<Locked> {
  const [row] = await db.execute<Locked>(sql`
    with ingest as (
      select id, tenant_id, state, product_id from ingests where id = ${ingestId} for update
    ), product as (
      select product.id, product.image_count from ingest
      join products as product on product.tenant_id = ingest.tenant_id and product.id = ingest.product_id
      where ingest.state not in ('committed', 'rejected', 'failed') for update of product
    )
    select ingest.state, ingest.tenant_id, product.id as product_id, product.image_count, files.id as file_id
    from ingest left join product on true
    left join files on files.tenant_id = ingest.tenant_id and files.id = ${file.id}`)
  if (!row) throw new SluiceError('ingest_unknown')
  return row
}

/** What the writing needs to know. */
interface Found {
  readonly tenantId: string
  readonly image: (NonNullable<Commit['image']> & { readonly productId: string; readonly imageCount: number }) | null
}

function check(locked: Locked, { file, image }: Commit, { imagesPerProductMax }: Pick<Limits, 'imagesPerProductMax'>): Found {
  const { tenant_id: tenantId, product_id: productId, image_count: imageCount } = locked
  if (file.kind === 'existing' && locked.file_id === null) throw new SluiceError('file_reference_unknown')
  if (image === null) return { tenantId, image: null }
  if (productId === null || imageCount === null) throw new SluiceError('product_unknown')
  if (imageCount >= imagesPerProductMax) {
    throw new SluiceError('images_exceeded', `A product may have ${imagesPerProductMax} images.`, {
      details: { imagesPerProductMax },
    })
  }
  return { tenantId, image: { ...image, productId, imageCount } }
}

async function write(db: Db, commit: Commit, { tenantId, image }: Found): Promise<void> {
  const parts = [...fileParts(commit, tenantId)]
  if (image) parts.push(...imageParts(commit, image, tenantId, await freePosition(db, image)))
  parts.push(
    sql`committed as (
      update ingests set state = 'committed', result_file_id = ${commit.file.id}, result_image_id = ${image?.id ?? null},
        problem_code = null, problem_detail = null, problem_details = null,
        updated_at = clock_timestamp(), finished_at = clock_timestamp()
      where id = ${commit.ingestId} returning id, attempts
    )`,
    sql`noted as (${note('committed', commit.timeline, { step: 'finish', outcome: 'done' })})`,
  )
  await db.execute(sql`with ${sql.join(parts, sql`, `)} select pg_notify(${INGEST_CHANNEL}, ${commit.ingestId})`)
}

function fileParts({ file }: Commit, tenantId: string): SQL[] {
  if (file.kind === 'existing') return []
  const { digest, mediaType, bytes } = file.facts
  return [
    sql`blob as (
      insert into blobs (tenant_id, digest, facts, media_type, bytes)
      values (${tenantId}, ${digest}, ${JSON.stringify(file.facts)}, ${mediaType}, ${bytes})
      on conflict (tenant_id, digest) do update set last_seen_at = clock_timestamp()
    )`,
    sql`file as (
      insert into files (id, tenant_id, digest, name) values (${file.id}, ${tenantId}, ${digest}, ${file.name})
    )`,
  ]
}

type NewImage = NonNullable<Found['image']>

async function freePosition(db: Db, { productId, id, placement, imageCount }: NewImage): Promise<number | SQL> {
  const { rank } = placement
  const room = rank === null || rank > imageCount ? null : await makeRoom(db, productId, id, rank)
  return room ?? endPosition(productId, id)
}

function imageParts(commit: Commit, image: NewImage, tenantId: string, position: number | SQL): SQL[] {
  const { id, productId, stem, placement } = image
  return [
    ...nameParts(productId, stem),
    sql`image as (
      insert into product_images (id, tenant_id, product_id, file_id, name, position, label, excluded, ingest_id)
      select ${id}::uuid, ${tenantId}::uuid, ${productId}::uuid, ${commit.file.id}::uuid, given.name, ${position}::int,
        ${placement.label}, ${placement.excluded}::bool, ${commit.ingestId}::uuid
      from given
    )`,
    ...roleParts(productId, id, placement),
    sql`product as (
      update products set version = version + 1, image_count = image_count + 1, updated_at = clock_timestamp()
      where id = ${productId}
    )`,
  ]
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

/** Roles are taken from whoever has them; where `main` is null, the main role only if nobody has it. */
function roleParts(productId: string, imageId: string, { roles, main }: Placement): SQL[] {
  const given = new Set(roles)
  if (main === true) given.add(MAIN_ROLE)
  if (main === false) given.delete(MAIN_ROLE)
  const parts: SQL[] = []
  if (given.size > 0) {
    parts.push(sql`roles as (
      insert into product_image_roles (product_id, role, image_id)
      select ${productId}::uuid, role, ${imageId}::uuid from unnest(${arrayLiteral([...given])}::text[]) as role
      on conflict (product_id, role) do update set image_id = excluded.image_id
    )`)
  }
  if (main === null && !given.has(MAIN_ROLE)) {
    parts.push(sql`main as (
      insert into product_image_roles (product_id, role, image_id)
      values (${productId}, ${MAIN_ROLE}, ${imageId}) on conflict (product_id, role) do nothing
    )`)
  }
  return parts
}
