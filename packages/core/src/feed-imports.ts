/** The worker's side of imports: product after product is prepared, and the rows of new images become ingests, a bounded number at a time. */
import { createHash } from 'node:crypto'
import { isOutage, isRefusal, type Problem, SluiceError } from './errors.ts'
import type { Digest, FileId, ImportId, IngestId, ProductId } from './ids.ts'
import type { FedRow, Import, PlannedRow, RowGroup } from './import.ts'
import type { Source } from './ingest.ts'
import { planOf, whatOfAbsent } from './plan-import.ts'
import type { World } from './ports.ts'
import { refuseOwned } from './product-image.ts'

type FeedingWorld = Pick<World, 'database' | 'limits' | 'newId' | 'observer'>

const ACCEPTED_AT_ONCE = 8

/**
 * One turn for one import. Whatever is done is in the database before the next thing begins, and each of these may be done twice: so
 * any worker goes on where another one died.
 */
export async function feedImports(world: FeedingWorld): Promise<boolean> {
  const { database, limits } = world
  const given = await database.imports.claim(limits.importLeaseMs)
  if (!given) return false
  let hasDone = false
  try {
    hasDone = given.state === 'undoing' ? await undoSome(world, given) : await applySome(world, given)
  } finally {
    await database.imports.release(given.id, hasDone ? 0 : limits.importIdleMs)
  }
  return hasDone
}

async function undoSome({ database, limits }: FeedingWorld, { id, state }: Import): Promise<boolean> {
  const restored = await database.imports.restore(id, limits.importBatchProducts)
  return restored > 0 || (await database.imports.advance(id)) !== state
}

async function applySome(world: FeedingWorld, given: Import): Promise<boolean> {
  const { imports } = world.database
  const { importBatchProducts, importInFlightMax } = world.limits
  const { id, state } = given
  let done = (await imports.collect(id)) + (await imports.settle(id, importBatchProducts))
  if ((await imports.advance(id)) !== state) return true
  if (state === 'applying') done += await imports.unpark(id, importBatchProducts)

  const fed = await imports.feed(id, state === 'applying' ? importInFlightMax : 0)
  done += await acceptRows(world, given, fed.rows)
  if (state === 'applying' && fed.room > 0) {
    const groups = await imports.groups(id, 'planned', { after: null, limit: importBatchProducts })
    for (const group of groups) await beginProduct(world, given, group)
    done += groups.length
  }
  return done > 0
}

// ── A product whose turn has come ───────────────────────────────────────────────────────────────────────────────────

async function beginProduct(world: FeedingWorld, given: Import, group: RowGroup): Promise<void> {
  const { imports } = world.database
  try {
    await prepareProduct(world, given, await withProduct(world, given, group))
  } catch (error) {
    if (isOutage(error) || SluiceError.is(error, 'write_conflicted')) throw error
    // Somebody was faster: without a binding plan the product is planned anew in the next turn.
    if (SluiceError.is(error, 'plan_outdated') && !given.planIsBinding) return
    if (!isFault(error)) world.observer.observe({ kind: 'background.failed', task: 'imports', cause: error })
    await imports.refuse(given.id, group.firstLine, isFault(error) ? problemOf(error) : OUR_FAULT)
  }
}

/** One product must not hold up all others for ever. */
const OUR_FAULT: Problem = { code: 'internal_error', detail: 'An unexpected error; the log has the details.' }

/** What trying again would not mend. A lock that was not got in time is nobody's fault. */
function isFault(error: unknown): error is SluiceError {
  return isRefusal(error) && error.code !== 'write_conflicted'
}

function problemOf({ code, message, details }: SluiceError): Problem {
  return { code, detail: message, details }
}

/** Creates the product where it is not there and the import may do that. */
async function withProduct({ database }: FeedingWorld, given: Import, group: RowGroup): Promise<RowGroup> {
  if (group.found) {
    refuseOwned(group.found.owner)
    return group
  }
  const absent = whatOfAbsent(given, group)
  if (absent || group.product.kind !== 'sku') throw new SluiceError('product_unknown')
  const { sku } = group.product
  const id = ownProductId(given.id, sku)
  const { version, acceptsImages, owner } = await database.products.create({ id, tenantId: given.tenantId, sku, title: null })
  return { ...group, productId: id, found: { version, acceptsImages, owner, imageCount: 0 } }
}

/** The same for each repeat. A UUID of version 8: of our own making (RFC 9562 §5.8). */
function ownProductId(importId: ImportId, sku: string): ProductId {
  const hex = createHash('sha256').update(`${importId} ${sku}`).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}` as ProductId
}

const ANY_VERSION = -1

async function prepareProduct(world: FeedingWorld, given: Import, group: RowGroup): Promise<void> {
  const { productId, firstLine, plannedVersion, product } = group
  if (productId === null) throw new SluiceError('product_unknown')
  const missing = await missingBytes(world, given, group)
  const rows = group.rows.filter(({ line }) => !missing.has(line))
  const isOwn = product.kind === 'sku' && productId === ownProductId(given.id, product.sku)
  const isNew = plannedVersion === 0 && isOwn
  const { version, plan } = await planOf(world, given, group, { rows, isNew })
  if (given.planIsBinding && plannedVersion !== ANY_VERSION && !isNew && version !== plannedVersion) {
    throw new SluiceError('plan_outdated')
  }
  const ingestIds = new Map(plan.placements.map(({ line }) => [line, world.newId() as IngestId]))
  const refused = group.rows.filter(({ line }) => missing.has(line)).map(({ line }) => withoutBytes(line))
  const whole = { ...plan, rows: [...plan.rows, ...refused] }
  await world.database.imports.prepare(given.id, { firstLine, productId, version, plan: whole, ingestIds })
}

const NO_BYTES: Problem = {
  code: 'file_reference_unknown',
  detail: 'There are no bytes of this digest. Upload them first, then import the row again.',
}

function withoutBytes(line: number): PlannedRow {
  return { line, action: 'refuse', changes: [], imageId: null, problem: NO_BYTES }
}

async function missingBytes(
  { database, limits }: FeedingWorld,
  { tenantId }: Import,
  { rows }: RowGroup,
): Promise<ReadonlySet<number>> {
  const asked = rows.flatMap(({ line, source }) => (source?.kind === 'bytes' ? [{ line, digest: source.digest }] : []))
  const missing = new Set<number>()
  for (let i = 0; i < asked.length; i += limits.digestsMax) {
    const part = asked.slice(i, i + limits.digestsMax)
    const known = await database.files.findByDigests(
      tenantId,
      part.map(({ digest }) => digest),
    )
    for (const { line, digest } of part) if (!known.has(digest)) missing.add(line)
  }
  return missing
}

// ── New images ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Their ids were written down before, so that the same row is the same ingest however often this is done. */
async function acceptRows({ database }: FeedingWorld, given: Import, rows: readonly FedRow[]): Promise<number> {
  const digests = rows.flatMap(({ source }) => (source.kind === 'bytes' ? [source.digest] : []))
  const files = digests.length > 0 ? await database.files.findByDigests(given.tenantId, digests) : new Map<Digest, FileId>()
  const waiting = rows.values()
  const lane = async () => {
    for (const row of waiting) await acceptRow({ database }, given, row, sourceOf(row, files))
  }
  await Promise.all(Array.from({ length: ACCEPTED_AT_ONCE }, lane))
  return rows.length
}

function sourceOf({ source }: FedRow, files: ReadonlyMap<Digest, FileId>): Source | null {
  if (source.kind === 'url') return { kind: 'url', url: source.url, fileName: null }
  if (source.kind === 'staged') return source
  const fileId = source.kind === 'file' ? source.fileId : files.get(source.digest)
  return fileId === undefined ? null : { kind: 'file', fileId }
}

async function acceptRow(
  { database }: Pick<FeedingWorld, 'database'>,
  { id: importId, tenantId, tokenId }: Import,
  { line, ingestId: id, productId, placement }: FedRow,
  source: Source | null,
): Promise<void> {
  if (source === null) return database.imports.failRow(importId, line, NO_BYTES)
  try {
    const target = { kind: 'attach', productId, placement } as const
    await database.ingests.accept({ id, tenantId, tokenId, source, target, lane: 'import', idempotency: null, answer: null })
  } catch (error) {
    if (!isFault(error)) throw error
    await database.imports.failRow(importId, line, problemOf(error))
  }
}
