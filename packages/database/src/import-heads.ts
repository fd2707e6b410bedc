/** The head of an import, and its lock. */
import { type Import, type ImportId, type ImportState, isUuid, SluiceError, type TenantId, type TokenId } from '@sluice/core'
import { and, eq, type InferSelectModel, type PgUpdateSetSource, type SQL, sql } from './drizzle.ts'
import type { Db } from './connection.ts'
import { only } from './rows.ts'
import { imports } from './schema.ts'

type ImportRecord = InferSelectModel<typeof imports>

export function importOf(row: ImportRecord): Import {
  const { rowCount: _, planEpoch: __, faultsSeen: ___, claimedUntil: ____, ...rest } = row
  return { ...rest, id: row.id as ImportId, tenantId: row.tenantId as TenantId, tokenId: row.tokenId as TokenId }
}

export function isIt(tenantId: TenantId, id: ImportId) {
  return and(eq(imports.tenantId, tenantId), eq(imports.id, id))
}

/** Throws `import_unknown`. Nobody else changes its state until the transaction ends. */
export async function lockImport(db: Db, tenantId: TenantId, id: ImportId): Promise<ImportRecord> {
  const [row] = isUuid(id) ? await db.select().from(imports).where(isIt(tenantId, id)).for('update') : []
  if (!row) throw new SluiceError('import_unknown')
  return row
}

export function busy(state: ImportState): SluiceError {
  return new SluiceError('import_busy', `The import is ${state}.`, { details: { state } })
}

type Change = PgUpdateSetSource<typeof imports> & { readonly state: ImportState }

/** Whoever changes its state lets go of it, too. */
export async function change(db: Db, id: ImportId, set: Change): Promise<Import> {
  const values = { ...set, claimedUntil: null, updatedAt: sql`clock_timestamp()` }
  return importOf(only(await db.update(imports).set(values).where(eq(imports.id, id)).returning()))
}

/** Rows that are at fault, or have failed. */
export function faultsOf(id: ImportId): SQL {
  return sql`(select count(*)::int from import_rows where import_id = ${id} and state in ('invalid', 'failed'))`
}
