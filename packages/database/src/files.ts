import { type Digest, type Facts, type FileId, type Files, isUuid, type TenantId } from '@sluice/core'
import { and, eq, getTableColumns, sql } from './drizzle.ts'
import { fileOf, isText } from './rows.ts'
import { blobs, files } from './schema.ts'
import { prepared, type Runner } from './transaction.ts'

/** A file's row beside the facts of its blob. */
export const isItsBlob = and(eq(blobs.tenantId, files.tenantId), eq(blobs.digest, files.digest))

const byId = prepared((db) =>
  db
    .select({ file: getTableColumns(files), facts: blobs.facts })
    .from(files)
    .innerJoin(blobs, isItsBlob)
    .where(and(eq(files.tenantId, sql.placeholder('tenantId')), eq(files.id, sql.placeholder('id'))))
    .prepare('file_by_id'),
)
const factsByDigest = prepared((db) =>
  db
    .select({ facts: blobs.facts })
    .from(blobs)
    .where(and(eq(blobs.tenantId, sql.placeholder('tenantId')), eq(blobs.digest, sql.placeholder('digest'))))
    .prepare('facts_by_digest'),
)

export function openFiles({ query }: Runner): Files {
  return {
    async find(tenantId: TenantId, id: FileId) {
      if (!isUuid(id)) return null
      const [row] = await query((db) => byId(db).execute({ tenantId, id }))
      return row ? fileOf(row.file, row.facts) : null
    },
    async findFacts(tenantId: TenantId, digest: Digest): Promise<Facts | null> {
      if (!isText(digest)) return null
      const [row] = await query((db) => factsByDigest(db).execute({ tenantId, digest }))
      return row?.facts ?? null
    },
  }
}
