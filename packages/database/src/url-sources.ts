import { createHash } from 'node:crypto'
import type { UrlSources } from '@sluice/core'
import { and, eq, getTableColumns, sql } from './drizzle.ts'
import { urlSources } from './schema.ts'
import type { Runner } from './transaction.ts'

export function openUrlSources({ query }: Runner): UrlSources {
  const { digest, fileName, etag, lastModified } = getTableColumns(urlSources)
  return {
    async find(tenantId, url) {
      const [row] = await query((db) =>
        db
          .select({ digest, fileName, etag, lastModified })
          .from(urlSources)
          .where(and(eq(urlSources.tenantId, tenantId), eq(urlSources.urlSha256, sha256(url)))),
      )
      return row ?? null
    },
    async remember(tenantId, url, source) {
      const { urlSha256 } = urlSources
      const set = {
        etag: source.etag,
        lastModified: source.lastModified,
        digest: source.digest,
        fileName: source.fileName,
        fetchedAt: sql`clock_timestamp()`,
      }
      await query((db) =>
        db
          .insert(urlSources)
          .values({ tenantId, urlSha256: sha256(url), ...set })
          .onConflictDoUpdate({ target: [urlSources.tenantId, urlSha256], set }),
      )
    },
    async forget(keptMs, limit) {
      const rows = await query((db) =>
        db.execute(sql`
          delete from url_sources where ctid in (
            select ctid from url_sources where fetched_at < clock_timestamp() - ${keptMs}::float8 * interval '1 ms'
            order by fetched_at limit ${limit} for update skip locked
          ) returning 1`),
      )
      return rows.length
    },
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
