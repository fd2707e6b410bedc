import { SluiceError } from '../../errors.ts'
import { blobKey, type File } from '../../file.ts'
import { type Ingest, isTerminal, type IngestState, type Placement } from '../../ingest.ts'
import type { Limits } from '../../limits.ts'
import type { Commit } from '../../ports.ts'
import { isMain, MAIN_ROLE, type ProductImage } from '../../product-image.ts'
import { giveRoles, nextName, placeAt } from './images.ts'
import { writeImages } from './products.ts'
import { findProduct, type ProductRow, type Tables, writeIngest } from './tables.ts'

export function commitIngest(tables: Tables, commit: Commit, limits: Pick<Limits, 'imagesPerProductMax'>): IngestState {
  const ingest = tables.ingests.get(commit.ingestId)
  if (!ingest) throw new SluiceError('ingest_unknown')
  if (isTerminal(ingest.state)) return ingest.state

  const file = fileOf(tables, ingest, commit.file)
  const product = commit.image && productOf(tables, ingest, limits)
  if (commit.file.kind === 'new') writeFile(tables, file)
  if (commit.image && product) attach(tables, product, file, commit.image)
  const result = { fileId: file.id, imageId: commit.image?.id ?? null }
  const committed = { ...ingest, state: 'committed', problem: null, finishedAt: tables.now(), result } as const
  writeIngest(tables, committed, { run: commit.timeline, own: { step: 'finish', outcome: 'done' } })
  tables.wake(ingest.id)
  return 'committed'
}

/** Facts belong to the bytes: those that were found first stay. */
function fileOf({ facts, files, nextNumber, now }: Tables, { tenantId }: Ingest, file: Commit['file']): File {
  if (file.kind === 'new') {
    const known = facts.get(blobKey(tenantId, file.facts.digest))
    return { id: file.id, number: nextNumber(), tenantId, name: file.name, facts: known ?? file.facts, createdAt: now() }
  }
  const existing = files.get(file.id)
  if (existing?.tenantId !== tenantId) throw new SluiceError('file_reference_unknown')
  return existing
}

function productOf(tables: Tables, { tenantId, target }: Ingest, { imagesPerProductMax }: Pick<Limits, 'imagesPerProductMax'>) {
  const product = target && findProduct(tables, tenantId, { kind: 'id', id: target.productId })
  if (!product) throw new SluiceError('product_unknown')
  if (product.images.length >= imagesPerProductMax) {
    throw new SluiceError('images_exceeded', undefined, { details: { imagesPerProductMax } })
  }
  return product
}

function writeFile({ facts, files }: Tables, file: File): void {
  facts.set(blobKey(file.tenantId, file.facts.digest), file.facts)
  files.set(file.id, file)
}

function attach(tables: Tables, row: ProductRow, file: File, { id, stem, placement }: NonNullable<Commit['image']>): void {
  const { label, excluded, rank } = placement
  const name = nextName(row.names, stem)
  const now = tables.now()
  const image: ProductImage = {
    id,
    number: tables.nextNumber(),
    productId: row.product.id,
    name,
    position: 0,
    label,
    excluded,
    roles: [],
    file,
    createdAt: now,
    updatedAt: now,
  }
  const images = giveRoles(placeAt(row.images, image, rank), id, rolesOf(placement, row.images))
  writeImages(tables, row, images, name)
}

function rolesOf({ roles, main }: Placement, others: readonly ProductImage[]): readonly string[] {
  if (main === false) return roles.filter((role) => role !== MAIN_ROLE)
  return main === true || !others.some(isMain) ? [...roles, MAIN_ROLE] : roles
}
