/** Plans an import: product by product, in the order of their first lines, so that memory holds a page of them and no more. */
import { createHash, type Hash } from 'node:crypto'
import { type ErrorCode, ERRORS, type Problem } from './errors.ts'
import type { ImageId, TenantId } from './ids.ts'
import type { Import, ImportOptions, PlannedGroup, PlannedRow, ProductPlan, RowGroup } from './import.ts'
import { type PlannedState, planProduct } from './plan-product.ts'
import type { World } from './ports.ts'

type PlanningWorld = Pick<World, 'database' | 'limits'>

const LINES_AT_ONCE = 1_000

/** Throws `import_unknown`, `import_busy`. The same rows and the same products give the same hash. */
export async function planImport({ database, limits }: PlanningWorld, tenantId: TenantId, given: Import): Promise<Import> {
  const { imports } = database
  const { id } = given
  const epoch = await imports.beginPlan(tenantId, id)
  for (let line: number | null = 0; line !== null;) line = await imports.resolve(id, epoch, line, LINES_AT_ONCE)

  const hash = createHash('sha256').update(JSON.stringify([given.mode, given.createProducts, given.parkMs > 0]))
  let detached = 0
  for (let after: number | null = null; ;) {
    const groups: readonly RowGroup[] = await imports.groups(id, 'planned', { after, limit: limits.importBatchProducts })
    const last = groups.at(-1)
    if (!last) break
    const planned = await Promise.all(groups.map((group) => planGroup({ database, limits }, given, group)))
    const number = (row: PlannedRow): PlannedRow => ({ ...row, line: -++detached })
    const numbered = planned.map((group) => withDetach(group, group.detach.map(number)))
    for (const [index, group] of numbered.entries()) addToHash(hash, groups[index], group)
    await imports.writePlan(id, epoch, numbered)
    after = last.firstLine
  }
  return imports.endPlan(id, epoch, hash.digest('hex'))
}

function withDetach(group: PlannedGroup, detach: PlannedGroup['detach']): PlannedGroup {
  return { ...group, detach }
}

function addToHash(hash: Hash, group: RowGroup | undefined, { version, rows, detach }: PlannedGroup): void {
  const said = [...rows, ...detach].map(({ line, action, changes, imageId }) => [line, action, changes, imageId])
  hash.update(JSON.stringify([group?.productId ?? null, version, said]))
}

async function planGroup(world: PlanningWorld, given: Import, group: RowGroup): Promise<PlannedGroup> {
  const { firstLine } = group
  const whole = whatOfAll(given, group)
  if (whole) {
    const { action, problem } = whole
    const rows = group.rows.map(({ line }): PlannedRow => ({ line, action, changes: [], imageId: null, problem }))
    return { firstLine, version: group.found?.version ?? 0, state: action === 'park' ? 'parked' : 'settled', rows, detach: [] }
  }
  const { version, plan } = await planOf(world, given, group, { rows: group.rows, isNew: group.found === null })
  const detach = plan.detach.map((imageId): PlannedRow => ({ line: 0, action: 'detach', changes: [], imageId, problem: null }))
  return { firstLine, version, state: isIdle(plan) ? 'settled' : 'planned', rows: plan.rows, detach }
}

/** What becomes of all rows of a product alike; null: each has its own action. */
function whatOfAll(given: Import, group: RowGroup): Alike | null {
  if (group.found?.owner === 'organization') return { action: 'refuse', problem: problemOf('owned_by_organization') }
  return group.found ? null : whatOfAbsent(given, group)
}

interface Alike {
  readonly action: 'park' | 'refuse'
  readonly problem: Problem
}

function problemOf(code: ErrorCode): Problem {
  return { code, detail: ERRORS[code].title }
}

/** What becomes of rows whose product is not there; null: it will be created. */
export function whatOfAbsent({ createProducts, parkMs }: ImportOptions, { product }: Pick<RowGroup, 'product'>): Alike | null {
  if (product.kind === 'sku' && createProducts) return null
  return { action: product.kind === 'sku' && parkMs > 0 ? 'park' : 'refuse', problem: problemOf('product_unknown') }
}

/** Whether there is nothing to be done. */
function isIdle({ changes, positions, placements, detach }: ProductPlan): boolean {
  return changes.length + positions.length + placements.length + detach.length === 0
}

const NOTHING = { images: [], storeRoles: [], urls: new Map() } as const

export interface Asked {
  readonly rows: RowGroup['rows']
  /** Whether the import makes the product. */
  readonly isNew: boolean
}

/** Against the product as it is; version 0: there is none yet. */
export async function planOf(
  { database, limits }: PlanningWorld,
  { tenantId, mode }: Pick<Import, 'tenantId' | 'mode'>,
  group: RowGroup,
  { rows, isNew }: Asked,
): Promise<{ readonly version: number; readonly plan: ProductPlan }> {
  const { found, productId } = group
  const rules = {
    mode,
    imagesPerProductMax: limits.imagesPerProductMax,
    mayDetach: !group.hasInvalid && rows.length === group.rows.length,
  }
  const hasImages = found !== null && found.imageCount > 0 && productId !== null
  const list = hasImages ? await database.images.list(tenantId, { kind: 'id', id: productId }) : null
  const urls =
    list && rows.some(({ source }) => source?.kind === 'url') ? await database.images.urls(tenantId, list.productId) : null
  const state: PlannedState = {
    ...NOTHING,
    ...list,
    urls: urls ?? new Map<ImageId, string>(),
    acceptsImages: found?.acceptsImages ?? true,
    exists: !isNew,
  }
  return { version: list?.version ?? found?.version ?? 0, plan: planProduct(rows, state, rules) }
}
