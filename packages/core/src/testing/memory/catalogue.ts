import type { Attribute, Channel, StoreView } from '../../catalogue.ts'
import type { TenantId } from '../../ids.ts'
import type { Catalogue } from '../../ports.ts'

export function memoryCatalogue(): Catalogue {
  const attributes = byTenant<Attribute>()
  const channels = byTenant<Channel>()
  const stores = byTenant<StoreView>()

  return {
    putAttribute: async (tenantId, attribute) => void attributes(tenantId).set(attribute.code, attribute),
    findAttribute: async (tenantId, code) => attributes(tenantId).get(code) ?? null,
    listAttributes: async (tenantId) => inOrder(attributes(tenantId)),
    removeAttribute: async (tenantId, code) => void attributes(tenantId).delete(code),

    putChannel: async (tenantId, channel) => void channels(tenantId).set(channel.code, channel),
    findChannel: async (tenantId, code) => channels(tenantId).get(code) ?? null,
    listChannels: async (tenantId) => inOrder(channels(tenantId)),
    removeChannel: async (tenantId, code) => void channels(tenantId).delete(code),

    async putStore(tenantId, store) {
      const own = stores(tenantId)
      const view = { ...store, number: own.get(store.code)?.number ?? own.size + 1 }
      own.set(store.code, view)
      return view
    },
    async findStore(tenantId, ref) {
      return (
        stores(tenantId)
          .values()
          .find(({ number, code }) => ref === number || ref === code) ?? null
      )
    },
    listStores: async (tenantId) => [...stores(tenantId).values()].sort((a, b) => a.number - b.number),
  }
}

function byTenant<Item>(): (tenantId: TenantId) => Map<string, Item> {
  const all = new Map<TenantId, Map<string, Item>>()
  return (tenantId) => {
    const own = all.get(tenantId) ?? new Map<string, Item>()
    all.set(tenantId, own)
    return own
  }
}

function inOrder<Item extends { readonly code: string }>(items: ReadonlyMap<string, Item>): readonly Item[] {
  return [...items.values()].sort((a, b) => (a.code < b.code ? -1 : 1))
}
