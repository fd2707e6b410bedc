/** The rows of an import as they were given, and what is told of them. */
import {
  IMPORT_PRODUCT_STATES,
  type ImportProduct,
  type ImportRow,
  type Imports,
  type ImageId,
  type IngestId,
  isUuid,
  type NewRow,
  type ProductId,
  productOfText,
  type ProductRef,
  productText,
  ROW_ACTIONS,
  ROW_STATES,
  SluiceError,
} from '@sluice/core'
import { and, asc, desc, eq, getTableColumns, gt, type InferSelectModel, type SQL, sql } from './drizzle.ts'
import { busy, lockImport } from './import-heads.ts'
import { arrayLiteral } from './rows.ts'
import { importProducts, importRows, imports } from './schema.ts'
import type { Runner } from './transaction.ts'

export function openImportRows({
  query,
  transaction,
}: Runner): Pick<Imports, 'addRows' | 'listRows' | 'listProducts' | 'progress'> {
  return {
    addRows: (tenantId, id, rows, rowsMax) =>
      transaction(async (db) => {
        const { state, rowCount } = await lockImport(db, tenantId, id)
        if (state !== 'open' && state !== 'planned') throw busy(state)
        const added = await db.execute<{ line: number }>(sql`
          insert into import_rows (import_id, line, state, product, source, staged_key, wishes, problem)
          select ${id}::uuid, line, state, product, source, "stagedKey", coalesce(wishes, '{}'::json), problem
          from json_to_recordset(${JSON.stringify(rows.map(recordOf))}::json) as given (
            line int, state text, product text, source json, "stagedKey" text, wishes json, problem json)
          on conflict (import_id, line) do nothing returning line`)
        if (rowCount + added.length > rowsMax) {
          throw new SluiceError('import_rows_exceeded', `An import may have ${rowsMax} rows.`, { details: { rowsMax } })
        }
        if (added.length > 0) {
          // What was planned without them is void.
          await db.execute(sql`
            update imports set row_count = row_count + ${added.length}, state = 'open', plan_hash = null,
              plan_epoch = plan_epoch + 1, updated_at = clock_timestamp() where id = ${id}`)
        }
        return new Set(added.map(({ line }) => line))
      }),

    async listRows(tenantId, id, { states, actions }, { after, limit }) {
      if (!isUuid(id)) return []
      const some = (where: SQL, order: SQL, most: number) =>
        query((db) =>
          db
            .select(getTableColumns(importRows))
            .from(importRows)
            .innerJoin(imports, and(eq(imports.id, importRows.importId), eq(imports.tenantId, tenantId)))
            .where(
              and(
                eq(importRows.importId, id),
                where,
                states && sql`${importRows.state} = any(${arrayLiteral(states)}::text[])`,
                actions && sql`${importRows.action} = any(${arrayLiteral(actions)}::text[])`,
              ),
            )
            .orderBy(order)
            .limit(most),
        )
      const line = importRows.line
      const given = (after ?? 0) < 0 ? [] : await some(sql`${line} > ${after ?? 0}`, asc(line), limit)
      const made =
        given.length < limit ? await some(sql`${line} < ${Math.min(after ?? 0, 0)}`, desc(line), limit - given.length) : []
      return [...given, ...made].map(importRowOf)
    },

    async listProducts(tenantId, id, states, { after, limit }) {
      if (!isUuid(id)) return []
      const rows = await query((db) =>
        db
          .select(getTableColumns(importProducts))
          .from(importProducts)
          .innerJoin(imports, and(eq(imports.id, importProducts.importId), eq(imports.tenantId, tenantId)))
          .where(
            and(
              eq(importProducts.importId, id),
              gt(importProducts.firstLine, after ?? 0),
              sql`${importProducts.state} = any(${arrayLiteral(states)}::text[])`,
            ),
          )
          .orderBy(asc(importProducts.firstLine))
          .limit(limit),
      )
      return rows.map(importProductOf)
    },

    async progress(tenantId, id) {
      const ofIt = sql`import_id = (select id from imports where tenant_id = ${tenantId} and id = ${id})`
      const [rows, products] = await query((db) =>
        Promise.all([
          db.execute<{ state: string; action: string | null; n: number }>(sql`
            select state, action, count(*)::int as n from import_rows where ${ofIt} group by state, action`),
          db.execute<{ state: string; n: number }>(sql`
            select state, count(*)::int as n from import_products where ${ofIt} and before is not null group by state`),
        ]),
      )
      const sum = (key: 'state' | 'action', name: string) =>
        rows.reduce((total, row) => (row[key] === name ? total + row.n : total), 0)
      return {
        total: rows.reduce((total, { n }) => total + n, 0),
        states: tally(ROW_STATES, (state) => sum('state', state)),
        actions: tally(ROW_ACTIONS, (action) => sum('action', action)),
        products: tally(IMPORT_PRODUCT_STATES, (state) => products.find((row) => row.state === state)?.n ?? 0),
      }
    },
  }
}

function tally<Name extends string>(names: readonly Name[], count: (name: Name) => number): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, count(name)])) as Record<Name, number>
}

function recordOf(row: NewRow) {
  if (row.kind === 'invalid') {
    const [first] = row.errors
    const detail = first ? `${first.field} ${first.message}.` : ''
    const problem = { code: 'row_invalid', detail, details: { errors: row.errors } }
    return { line: row.line, state: 'invalid', product: row.product && productText(row.product), problem }
  }
  const { line, product, source, wishes } = row
  const stagedKey = source.kind === 'staged' ? source.key : null
  return { line, state: 'pending', product: productText(product), source, stagedKey, wishes }
}

const NOBODY: ProductRef = { kind: 'sku', sku: '' }

export function importRowOf(row: InferSelectModel<typeof importRows>): ImportRow {
  const { line, state, action, changes, problem, source, wishes } = row
  return {
    line,
    state,
    action,
    changes,
    problem,
    product: row.product === null ? null : productOfText(row.product),
    source,
    wishes,
    productId: row.productId as ProductId | null,
    imageId: row.imageId as ImageId | null,
    ingestId: row.ingestId as IngestId | null,
  }
}

export function importProductOf(row: InferSelectModel<typeof importProducts>): ImportProduct {
  const { firstLine, product, productId, state, plannedVersion, problem } = row
  const ref = productOfText(product) ?? NOBODY
  return { firstLine, product: ref, productId: productId as ProductId | null, state, plannedVersion, problem }
}
