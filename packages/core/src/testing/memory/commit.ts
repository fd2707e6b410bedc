import { SluiceError } from '../../errors.ts'
import { blobKey, type File, fileCode } from '../../file.ts'
import type { ImageId } from '../../ids.ts'
import { type Ingest, isTerminal, type IngestState, type Placement } from '../../ingest.ts'
import type { Limits } from '../../limits.ts'
import type { Commit } from '../../ports.ts'
import { isMain, MAIN_ROLE, type ProductImage, refuseOwned, type Uploader } from '../../product-image.ts'
import { isGone } from './blobs.ts'
import { at, changeImage, type Gallery, giveRoles, mainOf, nextName, placeAt, withStoreRoles, withStoreValues } from './images.ts'
import { tellOfIngest } from './events.ts'
import { writeImages } from './product-images.ts'
import { findProduct, type ProductRow, type Tables, writeIngest } from './tables.ts'

export function commitIngest(tables: Tables, commit: Commit, limits: Pick<Limits, 'imagesPerProductMax'>): IngestState {
  const ingest = tables.ingests.get(commit.ingestId)
  if (!ingest) throw new SluiceError('ingest_unknown')
  if (isTerminal(ingest.state)) return ingest.state
  if (commit.file.kind === 'new' && isGone(tables, { ...ingest, digest: commit.file.facts.digest }, commit.since)) {
    throw new SluiceError('service_unavailable')
  }

  const file = fileOf(tables, ingest, commit.file)
  const imageId = commit.image && hang(tables, ingest, file, commit.image, limits)
  writeFile(tables, file)
  const result = { fileId: file.id, imageId }
  const committed = { ...ingest, state: 'committed', problem: null, finishedAt: tables.now(), result } as const
  writeIngest(tables, committed, { run: commit.timeline, own: { step: 'finish', outcome: 'done' } })
  tellOfIngest(tables, committed)
  tables.wake(ingest.id)
  return 'committed'
}

/** Facts belong to the bytes: those that were found first stay. */
function fileOf({ facts, files, nextNumber, now }: Tables, { tenantId }: Ingest, file: Commit['file']): File {
  if (file.kind === 'new') {
    const { id, name } = file
    const known = facts.get(blobKey(tenantId, file.facts.digest)) ?? file.facts
    const isEqual = (other: File) => other.tenantId === tenantId && other.name === name && other.facts.digest === known.digest
    const equal = file.reuses ? files.values().find(isEqual) : undefined
    return equal ?? { id, number: nextNumber(), tenantId, code: fileCode(id, name), name, facts: known, createdAt: now() }
  }
  const existing = files.get(file.id)
  if (existing?.tenantId !== tenantId) throw new SluiceError('file_reference_unknown')
  return existing
}

function writeFile({ facts, files, removals }: Tables, file: File): void {
  const key = blobKey(file.tenantId, file.facts.digest)
  const removal = removals.get(key)
  if (removal) removals.set(key, { ...removal, markedAtMs: null })
  facts.set(key, file.facts)
  files.set(file.id, file)
}

/** Answers the image that shows the file in the end. */
function hang(
  tables: Tables,
  { id, tenantId, target }: Ingest,
  file: File,
  image: NonNullable<Commit['image']>,
  limits: Pick<Limits, 'imagesPerProductMax'>,
): ImageId {
  const row = target && findProduct(tables, tenantId, { kind: 'id', id: target.productId })
  if (!row) throw new SluiceError('product_unknown')
  refuseOwned(row.product.owner)
  if (image.kind === 'replace') {
    writeImages(tables, row, refilled(changeImage(row, image.id, image.change, tables.now()), image.id, file))
    return image.id
  }
  const { replacesMain } = image.placement
  if (!row.product.acceptsImages) throw new SluiceError('images_unsupported')
  if (replacesMain && mainOf(row.images) !== replacesMain.imageId) throw new SluiceError('main_image_changed')
  const occupant = row.images.find((other) => isMeant(other, image.placement, file))
  if (!occupant) return attach(tables, row, file, image, limits, uploaderOf(tables, id))
  const touched = changeImage(row, occupant.id, {}, tables.now())
  writeImages(tables, row, withRoles(refilled(touched, occupant.id, file), occupant.id, image.placement))
  return occupant.id
}

function isMeant(image: ProductImage, { slot, oncePerFile }: Placement, file: File): boolean {
  return (slot !== null && image.slot === slot) || (oncePerFile && image.file.id === file.id)
}

function uploaderOf({ askers, tokens }: Tables, ingestId: Ingest['id']): Uploader | null {
  const tokenId = askers.get(ingestId)
  const token = tokens.values().find((token) => token.tokenId === tokenId)
  return token ? { number: token.number, name: token.name } : null
}

function refilled({ images, storeRoles }: Gallery, imageId: ImageId, file: File): Gallery {
  return { images: images.map((image) => (image.id === imageId ? { ...image, file } : image)), storeRoles }
}

function attach(
  tables: Tables,
  row: ProductRow,
  file: File,
  { id, stem, placement }: Extract<Commit['image'], { kind: 'attach' }>,
  { imagesPerProductMax }: Pick<Limits, 'imagesPerProductMax'>,
  uploader: Uploader | null,
): ImageId {
  if (row.images.length >= imagesPerProductMax) {
    throw new SluiceError('images_exceeded', undefined, { details: { imagesPerProductMax } })
  }
  const name = nextName(row.names, stem)
  const now = tables.now()
  const image: ProductImage = {
    id,
    number: tables.nextNumber(),
    productId: row.product.id,
    name,
    position: 0,
    ...valuesOf(placement),
    roles: [],
    slot: placement.slot,
    file,
    uploader,
    createdAt: now,
    updatedAt: now,
  }
  const images = placed(row.images, image, placement)
  writeImages(tables, row, withRoles({ images, storeRoles: row.storeRoles }, id, placement), name)
  return id
}

type Values = Pick<ProductImage, 'label' | 'excluded' | 'hasGlobalValues' | 'storeValues'>

/** What is said for one store view leaves defaults for all others. */
function valuesOf({ label, excluded, position, store }: Placement): Values {
  if (store === null) return { label, excluded, hasGlobalValues: true, storeValues: [] }
  const given = { label, excluded, ...(position !== null && { position }) }
  const storeValues = withStoreValues({ storeValues: [] }, store, given)
  return { label: '', excluded: false, hasGlobalValues: false, storeValues }
}

function placed(others: readonly ProductImage[], image: ProductImage, { rank, position, store }: Placement) {
  if (store !== null) return placeAt(others, image, null)
  return position === null ? placeAt(others, image, rank) : [...others, at(position, image)]
}

function withRoles({ images, storeRoles }: Gallery, id: ImageId, placement: Placement): Gallery {
  const { roles, store } = placement
  if (store !== null) return { images, storeRoles: withStoreRoles(storeRoles, store, roles, id) }
  return { images: giveRoles(images, id, rolesOf(placement, images)), storeRoles }
}

function rolesOf({ roles, main }: Placement, images: readonly ProductImage[]): readonly string[] {
  if (main === false) return roles.filter((role) => role !== MAIN_ROLE)
  return main === true || !images.some(isMain) ? [...roles, MAIN_ROLE] : roles
}
