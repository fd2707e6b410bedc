/** Imports: their heads and the ways between their states. Rows, plans and products have files of their own. */
import { type ImportId, type Imports, type ImportState, isUuid, SluiceError, type TenantId } from '@sluice/core'
import { and, desc, eq, lt, notInArray, sql } from './drizzle.ts'
import type { Db } from './connection.ts'
import { busy, change, faultsOf, importOf, isIt, lockImport } from './import-heads.ts'
import { openImportPlans } from './import-plans.ts'
import { openImportProducts } from './import-products.ts'
import { openImportRows } from './import-rows.ts'
import { openImportWork } from './import-work.ts'
import { isText, only } from './rows.ts'
import { imports } from './schema.ts'
import type { Runner } from './transaction.ts'

export function openImports(runner: Runner): Imports {
  return {
    ...openHeads(runner),
    ...openControl(runner),
    ...openImportRows(runner),
    ...openImportPlans(runner),
    ...openImportProducts(runner),
    ...openImportWork(runner),
  }
}

const OVER = ['finished', 'undone'] as const satisfies readonly ImportState[]

function openHeads({ query, transaction }: Runner): Pick<Imports, 'create' | 'find' | 'list'> {
  return {
    async create(given, openMax) {
      if (!isText(given.name)) throw new SluiceError('request_invalid')
      const row = await transaction(async (db) => {
        // The tenant's row is what its imports are counted under.
        await db.execute(sql`select from tenants where id = ${given.tenantId} for no key update`)
        const [known] = await db.select().from(imports).where(eq(imports.id, given.id))
        if (known) return known
        const isOpen = and(eq(imports.tenantId, given.tenantId), notInArray(imports.state, [...OVER]))
        if ((await db.$count(imports, isOpen)) >= openMax) {
          throw new SluiceError('imports_exceeded', `${openMax} imports may be open at a time.`)
        }
        return only(await db.insert(imports).values(given).returning())
      })
      return importOf(row)
    },
    async find(tenantId, id) {
      if (!isUuid(id)) return null
      const [row] = await query((db) => db.select().from(imports).where(isIt(tenantId, id)))
      return row ? importOf(row) : null
    },
    async list(tenantId, { before, limit }) {
      if (before !== null && !isUuid(before)) return []
      const older = before === null ? undefined : lt(imports.id, before)
      const rows = await query((db) =>
        db
          .select()
          .from(imports)
          .where(and(eq(imports.tenantId, tenantId), older))
          .orderBy(desc(imports.id))
          .limit(limit),
      )
      return rows.map(importOf)
    },
  }
}

/** Where it may be already: a repeat finds what the first call has made of it. */
const APPLIED: ReadonlySet<ImportState> = new Set(['applying', 'stopping', 'stopped', 'finished'])

function openControl({ transaction }: Runner): Pick<Imports, 'apply' | 'stop' | 'resume' | 'undo'> {
  return {
    apply: (tenantId, id, planHash) =>
      transaction(async (db) => {
        const row = await lockImport(db, tenantId, id)
        if (row.planHash === null) throw new SluiceError('import_busy', 'The import has no plan of its rows as they are.')
        if (planHash !== null && row.planHash !== planHash) {
          throw new SluiceError('plan_outdated', 'The plan is another one by now.')
        }
        if (APPLIED.has(row.state)) return importOf(row)
        if (row.state !== 'planned') throw busy(row.state)
        if (planHash !== null) await refuseMoved(db, tenantId, id)
        return change(db, id, { state: 'applying', planIsBinding: planHash !== null, startedAt: sql`clock_timestamp()` })
      }),

    stop: (tenantId, id) =>
      transaction(async (db) => {
        const row = await lockImport(db, tenantId, id)
        if (row.state === 'stopping' || row.state === 'stopped') return importOf(row)
        if (row.state !== 'applying') throw busy(row.state)
        return change(db, id, { state: 'stopping' })
      }),

    resume: (tenantId, id) =>
      transaction(async (db) => {
        const row = await lockImport(db, tenantId, id)
        if (row.state === 'applying') return importOf(row)
        if (row.state !== 'stopping' && row.state !== 'stopped') throw busy(row.state)
        return change(db, id, { state: 'applying', faultsSeen: faultsOf(id) })
      }),

    undo: (tenantId, id, force) =>
      transaction(async (db) => {
        const row = await lockImport(db, tenantId, id)
        if (row.state === 'undoing' || (row.state === 'undone' && !force)) return importOf(row)
        if (row.state !== 'stopped' && row.state !== 'finished' && row.state !== 'undone') throw busy(row.state)
        if (force) {
          // What was left the last time is looked at again.
          await db.execute(sql`
            update import_products set state = 'settled' where import_id = ${id} and state = 'changed_since'`)
        }
        return change(db, id, { state: 'undoing', undoForce: force })
      }),
  }
}

const TOLD_MAX = 10

/** Throws `plan_outdated` where a product has another version than it was planned against, or is there by now, or is not. */
async function refuseMoved(db: Db, tenantId: TenantId, id: ImportId): Promise<void> {
  const rows = await db.execute<{ product: string }>(sql`
    select planned.product from import_products as planned
    left join products on products.id = planned.product_id
    where planned.import_id = ${id} and (
      case when planned.product_id is not null then products.version is distinct from planned.planned_version
        else planned.product like 'sku:%' and exists (
          select from products as other
          where other.tenant_id = ${tenantId} and other.kind = 'product' and other.sku = substr(planned.product, 5))
      end)
    order by planned.first_line limit ${TOLD_MAX}`)
  if (rows.length === 0) return
  const products = rows.map(({ product }) => product)
  throw new SluiceError('plan_outdated', `These products have changed since: ${products.join(', ')}.`, { details: { products } })
}
