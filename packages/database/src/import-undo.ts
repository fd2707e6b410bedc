/** Puts the images of one product back as they were before an import. */
import { ERRORS, type ImportId, isUuid, type Problem } from '@sluice/core'
import { sql } from './drizzle.ts'
import type { Db } from './connection.ts'
import { endGroup, type LockedGroup, lockVersion, removeImages } from './import-products.ts'
import { recordChange } from './products.ts'

/**
 * What the import has attached goes, and what it has detached comes back with its id, its number and its name. A product that others
 * have changed since is left as it is, unless it is forced: then what they brought stays as well.
 */
export async function restoreProduct(db: Db, group: LockedGroup): Promise<void> {
  const { import_id: id, tenant_id: tenantId, first_line: firstLine, product_id: productId } = group
  const locked = productId === null ? null : await lockVersion(db, tenantId, productId)
  if (productId === null || locked === null) {
    return endGroup(db, group, 'unrestorable', { code: 'product_unknown', detail: 'The product is gone.' })
  }
  const { version, owner } = locked
  if (owner === 'organization') {
    const { title: detail } = ERRORS.owned_by_organization
    return endGroup(db, group, 'changed_since', { code: 'owned_by_organization', detail })
  }
  const attached = await attachedBy(db, id, firstLine)
  const expected = (group.prepared_version ?? 0) + attached.length + group.settled_versions
  if (version !== expected && !group.undo_force) {
    const detail = `The product has version ${version}; the import has left it with ${expected}.`
    return endGroup(db, group, 'changed_since', { code: 'version_mismatched', detail, details: { version, expected } })
  }
  await removeImages(db, productId, attached.filter(isUuid))
  await restoreImages(db, id, firstLine)
  await restoreRoles(db, id, firstLine, productId)
  const [count] = await db.execute<{ added: number }>(sql`
    select (select count(*)::int from product_images where product_id = ${productId}) - image_count as added
    from products where id = ${productId}`)
  await recordChange(db, productId, count?.added ?? 0)
  const missing = await missingImages(db, id, firstLine)
  await endGroup(db, group, missing.length > 0 ? 'unrestorable' : 'restored', missing.length > 0 ? lost(missing) : null)
}

function lost(images: readonly string[]): Problem {
  return { code: 'file_unknown', detail: 'The files of some images are gone.', details: { images } }
}

async function attachedBy(db: Db, id: ImportId, firstLine: number): Promise<readonly string[]> {
  const rows = await db.execute<{ image_id: string }>(sql`
    select image_id from import_rows
    where import_id = ${id} and group_line = ${firstLine} and state = 'done' and action in ('attach', 'create') and image_id is not null`)
  return rows.map((row) => row.image_id)
}

const before = (id: ImportId, firstLine: number, part: 'images' | 'values' | 'roles') => sql`
  (select coalesce(before -> ${sql.raw(`'${part}'`)}, '[]'::json) from import_products
    where import_id = ${id} and first_line = ${firstLine} and json_typeof(before -> ${sql.raw(`'${part}'`)}) = 'array')`

/** With every column as it was, but for the file, which somebody may have replaced: that is not the import's to undo. */
async function restoreImages(db: Db, id: ImportId, firstLine: number): Promise<void> {
  await db.execute(sql`
    insert into product_images overriding system value
    select old.* from json_populate_recordset(null::product_images, ${before(id, firstLine, 'images')}) as old
    join files on files.tenant_id = old.tenant_id and files.id = old.file_id
    on conflict do nothing`)
  await db.execute(sql`
    update product_images as image set position = old.position, label = old.label, excluded = old.excluded,
      has_global_values = old.has_global_values
    from json_populate_recordset(null::product_images, ${before(id, firstLine, 'images')}) as old
    where image.id = old.id`)
  await db.execute(sql`
    delete from image_store_values where image_id in (
      select old.id from json_populate_recordset(null::product_images, ${before(id, firstLine, 'images')}) as old)`)
  await db.execute(sql`
    insert into image_store_values
    select old.* from json_populate_recordset(null::image_store_values, ${before(id, firstLine, 'values')}) as old
    join product_images as image on image.id = old.image_id`)
}

/** Roles that were nobody's before go from the images of before; what images have that came since, they keep where nobody had it. */
async function restoreRoles(db: Db, id: ImportId, firstLine: number, productId: string): Promise<void> {
  await db.execute(sql`
    delete from product_image_roles as line where product_id = ${productId} and (image_id is null or image_id in (
      select old.id from json_populate_recordset(null::product_images, ${before(id, firstLine, 'images')}) as old))`)
  await db.execute(sql`
    insert into product_image_roles
    select old.* from json_populate_recordset(null::product_image_roles, ${before(id, firstLine, 'roles')}) as old
    where old.image_id is null or exists (select from product_images as image where image.id = old.image_id)
    on conflict (product_id, store, role) do update set image_id = excluded.image_id`)
}

async function missingImages(db: Db, id: ImportId, firstLine: number): Promise<readonly string[]> {
  const rows = await db.execute<{ id: string }>(sql`
    select old.id from json_populate_recordset(null::product_images, ${before(id, firstLine, 'images')}) as old
    where not exists (select from product_images as image where image.id = old.id)`)
  return rows.map((row) => row.id)
}
