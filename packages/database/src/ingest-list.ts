import { type Ingest, type IngestFilter, type IngestId, isUuid, type ProductRef, type TenantId } from '@sluice/core'
import { and, desc, eq, gte, ilike, lt, lte, or, type SQL, sql } from './drizzle.ts'
import { isReferred } from './products.ts'
import { arrayLiteral, canExist, ingestOf, isText } from './rows.ts'
import { ingests, productImages, products } from './schema.ts'
import type { Runner } from './transaction.ts'

/** One page, newest first. What a text search may cost is bounded by the session's statement_timeout. */
export async function listIngests(
  { query }: Runner,
  tenantId: TenantId,
  filter: IngestFilter,
  page: { before: IngestId | null; limit: number },
): Promise<readonly Ingest[]> {
  if (!canMatch(filter, page.before)) return []
  const { states, ids, codes, product, createdFrom, createdTo, text } = filter
  const rows = await query((db) =>
    db
      .select()
      .from(ingests)
      .where(
        and(
          eq(ingests.tenantId, tenantId),
          page.before === null ? undefined : lt(ingests.id, page.before),
          states && sql`${ingests.state} = any(${arrayLiteral(states)}::text[])`,
          ids && sql`${ingests.id} = any(${arrayLiteral(ids.filter(isUuid))}::uuid[])`,
          codes && hasCode(codes),
          product && isOfProduct(tenantId, product),
          createdFrom && gte(ingests.createdAt, createdFrom),
          createdTo && lte(ingests.createdAt, createdTo),
          text ? mentions(tenantId, text) : undefined,
        ),
      )
      .orderBy(desc(ingests.id))
      .limit(page.limit),
  )
  return rows.map(ingestOf)
}

/** False when the filter asks for what no row can bear. */
function canMatch({ product, text }: IngestFilter, before: IngestId | null): boolean {
  return (product === undefined || canExist(product)) && isText(text ?? '') && (before === null || isUuid(before))
}

/** Details are read as the text that `JSON.stringify` has made: taken out of JSON, a `\u0000` elsewhere in it would be an error. */
function hasCode(codes: readonly string[]): SQL {
  const ours = codes.filter((code) => /^[a-z_]+$/.test(code))
  return sql`exists (select from unnest(${arrayLiteral(ours)}::text[]) as code
    where code = ${ingests.problemCode} or strpos(${ingests.problemDetails}::text, '"cause":"' || code || '"') > 0)`
}

function isOfProduct(tenantId: TenantId, ref: ProductRef): SQL {
  if (ref.kind === 'id') return eq(ingests.productId, ref.id)
  return sql`${ingests.productId} = (select ${products.id} from ${products} where ${isReferred(ref, tenantId)})`
}

function mentions(tenantId: TenantId, text: string): SQL | undefined {
  const part = `%${text.replace(/[\\%_]/g, '\\$&')}%`
  return or(
    ilike(ingests.fileName, part),
    // What comes after it may open something, and is not shown.
    sql`split_part(${ingests.sourceUrl}, '?', 1) ilike ${part}`,
    // `accept` sees to it that these texts can be taken out of the JSON again.
    sql`${ingests.target} #>> '{placement,label}' ilike ${part}`,
    sql`${ingests.target} #>> '{placement,name}' ilike ${part}`,
    sql`${ingests.target} #>> '{change,label}' ilike ${part}`,
    ilike(ingests.problemCode, part),
    ilike(ingests.problemDetail, part),
    sql`exists (select from ${productImages} where ${productImages.id} = ${ingests.resultImageId} and ${ilike(productImages.name, part)})`,
    eq(ingests.digest, text.toLowerCase()),
    sql`${ingests.productId} in (
      select ${products.id} from ${products} where ${products.tenantId} = ${tenantId} and lower(${products.sku}) = lower(${text}))`,
    isUuid(text)
      ? or(
          ...[ingests.id, ingests.productId, ingests.sourceFileId, ingests.resultFileId, ingests.resultImageId].map((id) =>
            eq(id, text),
          ),
          sql`${ingests.target} ->> 'imageId' = lower(${text})`,
        )
      : undefined,
  )
}
