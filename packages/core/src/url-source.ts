/** Files at other addresses: what is remembered of them, and what may be shown. */
import type { Digest, TenantId } from './ids.ts'

/** What tells whether a file has changed (RFC 9110 §8.8), as its server says it. */
export interface Validators {
  readonly etag: string | null
  readonly lastModified: string | null
}

/** What a tenant got from an address the last time. */
export interface UrlSource extends Validators {
  readonly digest: Digest
  readonly fileName: string | null
}

/** Times are the database's. */
export interface UrlSources {
  find(tenantId: TenantId, url: string): Promise<UrlSource | null>
  /** In the place of what was remembered of this address. */
  remember(tenantId: TenantId, url: string, source: UrlSource): Promise<void>
  /** Lets go of what was fetched before `keptMs`; returns how many. */
  forget(keptMs: number, limit: number): Promise<number>
}

/** An address without what may open something: signed links carry their signature in the query. */
export function shownUrl(url: string): string {
  const parsed = URL.parse(url)
  if (!parsed) return ''
  return `${parsed.origin}${parsed.pathname}${parsed.search === '' ? '' : '?…'}`
}
