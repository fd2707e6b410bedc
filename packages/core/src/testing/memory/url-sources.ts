import type { UrlSource, UrlSources } from '../../url-source.ts'
import type { Tables } from './tables.ts'

export function memoryUrlSources({ now }: Tables): UrlSources {
  const known = new Map<string, UrlSource & { readonly at: number }>()
  const keyOf = (tenantId: string, url: string) => `${tenantId} ${url}`

  return {
    async find(tenantId, url) {
      const { at: _, ...source } = known.get(keyOf(tenantId, url)) ?? { at: 0 }
      return 'digest' in source ? source : null
    },
    async remember(tenantId, url, source) {
      known.set(keyOf(tenantId, url), { ...source, at: now().getTime() })
    },
    async forget(keptMs, limit) {
      const before = now().getTime() - keptMs
      const old = [...known].flatMap(([key, { at }]) => (at < before ? [key] : [])).slice(0, limit)
      for (const key of old) known.delete(key)
      return old.length
    },
  }
}
