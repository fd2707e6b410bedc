import type { Attribute, Catalogue, Channel, StoreView } from '@sluice/core'
import { and, asc, eq, type SQLWrapper, sql } from './drizzle.ts'
import { isText, only } from './rows.ts'
import { attributes, channels, storeViews, tenants } from './schema.ts'
import type { Runner } from './transaction.ts'

export function openCatalogue(runner: Runner): Catalogue {
  const { query } = runner
  return { ...openAttributes(query), ...openChannels(query), ...openStores(runner) }
}

type Query = Runner['query']

function openAttributes(query: Query): Pick<Catalogue, 'putAttribute' | 'findAttribute' | 'listAttributes' | 'removeAttribute'> {
  const isIt = (tenantId: string, code: string) => and(eq(attributes.tenantId, tenantId), eq(attributes.code, code))
  return {
    async putAttribute(tenantId, { code, ...set }) {
      const target = [attributes.tenantId, attributes.code]
      await query((db) =>
        db
          .insert(attributes)
          .values({ tenantId, code, ...set })
          .onConflictDoUpdate({ target, set }),
      )
    },
    async findAttribute(tenantId, code) {
      if (!isText(code)) return null
      const [row] = await query((db) => db.select().from(attributes).where(isIt(tenantId, code)))
      return row ? attributeOf(row) : null
    },
    async listAttributes(tenantId) {
      const own = eq(attributes.tenantId, tenantId)
      const rows = await query((db) => db.select().from(attributes).where(own).orderBy(byCode(attributes.code)))
      return rows.map(attributeOf)
    },
    async removeAttribute(tenantId, code) {
      if (isText(code)) await query((db) => db.delete(attributes).where(isIt(tenantId, code)))
    },
  }
}

function openChannels(query: Query): Pick<Catalogue, 'putChannel' | 'findChannel' | 'listChannels' | 'removeChannel'> {
  const isIt = (tenantId: string, code: string) => and(eq(channels.tenantId, tenantId), eq(channels.code, code))
  return {
    async putChannel(tenantId, { code, locales }) {
      const target = [channels.tenantId, channels.code]
      await query((db) =>
        db.insert(channels).values({ tenantId, code, locales }).onConflictDoUpdate({ target, set: { locales } }),
      )
    },
    async findChannel(tenantId, code) {
      if (!isText(code)) return null
      const [row] = await query((db) => db.select().from(channels).where(isIt(tenantId, code)))
      return row ? channelOf(row) : null
    },
    async listChannels(tenantId) {
      const own = eq(channels.tenantId, tenantId)
      const rows = await query((db) => db.select().from(channels).where(own).orderBy(byCode(channels.code)))
      return rows.map(channelOf)
    },
    async removeChannel(tenantId, code) {
      if (isText(code)) await query((db) => db.delete(channels).where(isIt(tenantId, code)))
    },
  }
}

function openStores({ query, transaction }: Runner): Pick<Catalogue, 'putStore' | 'findStore' | 'listStores'> {
  return {
    putStore: (tenantId, { code, name, website }) =>
      transaction(async (db) => {
        const set = { name, website }
        const isIt = and(eq(storeViews.tenantId, tenantId), eq(storeViews.code, code))
        // Whoever holds the tenant's row gives the next number; a store view that is there needs none.
        await db.select({ id: tenants.id }).from(tenants).where(eq(tenants.id, tenantId)).for('no key update')
        const [known] = await db.update(storeViews).set(set).where(isIt).returning()
        if (known) return storeOf(known)
        const next = sql`(select coalesce(max(number), 0) + 1 from store_views where tenant_id = ${tenantId})`
        return storeOf(
          only(
            await db
              .insert(storeViews)
              .values({ tenantId, code, ...set, number: next })
              .returning(),
          ),
        )
      }),
    async findStore(tenantId, ref) {
      const isIt = typeof ref === 'number' ? eq(storeViews.number, ref) : eq(storeViews.code, ref)
      if (typeof ref === 'number' ? !isStoreNumber(ref) : !isText(ref)) return null
      const [row] = await query((db) =>
        db
          .select()
          .from(storeViews)
          .where(and(eq(storeViews.tenantId, tenantId), isIt)),
      )
      return row ? storeOf(row) : null
    },
    async listStores(tenantId) {
      const own = eq(storeViews.tenantId, tenantId)
      const rows = await query((db) => db.select().from(storeViews).where(own).orderBy(asc(storeViews.number)))
      return rows.map(storeOf)
    },
  }
}

/** By its code points, as the core compares texts, whatever the collation of the database. */
const byCode = (column: SQLWrapper) => sql`${column} collate "C"`

const INTEGER_MAX = 2 ** 31 - 1

function isStoreNumber(number: number): boolean {
  return Number.isInteger(number) && number >= 1 && number <= INTEGER_MAX
}

function attributeOf(row: Attribute & { tenantId: string }): Attribute {
  const { tenantId: _, ...attribute } = row
  return attribute
}

function channelOf({ code, locales }: Channel): Channel {
  return { code, locales }
}

function storeOf({ number, code, name, website }: StoreView): StoreView {
  return { number, code, name, website }
}
