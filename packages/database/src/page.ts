import type { Listed, OffsetPage } from '@sluice/core'
import type { Db } from './connection.ts'
import { type InferSelectModel, type PgTable, type SQL, sql } from './drizzle.ts'
import { rowOf } from './rows.ts'

/** One page of the rows that there are, and the number of all of them at the same moment. */
export async function pageOf<T extends PgTable>(
  db: Db,
  table: T,
  where: SQL | undefined,
  order: SQL,
  { offset, limit }: OffsetPage,
): Promise<Listed<InferSelectModel<T>>> {
  // The join keeps the total where the page lies beyond the end.
  const rows = await db.execute<{ total: number; place: unknown }>(sql`
    select counted.total, page.* from (select count(*)::int as total from ${table} where ${where}) as counted
    left join (
      select ${table}.*, row_number() over (order by ${order}) as place from ${table} where ${where}
      order by ${order} limit ${limit} offset ${offset}
    ) as page on true
    order by place`)
  return {
    items: rows.filter(({ place }) => place !== null).map((row) => rowOf(table, row)),
    total: rows[0]?.total ?? 0,
  }
}
