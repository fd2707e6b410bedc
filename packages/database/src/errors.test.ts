import { randomUUID } from 'node:crypto'
import { inspect } from 'node:util'
import { type ImageId, type IngestId, type ProductId, SluiceError } from '@sluice/core'
import { sql } from './drizzle.ts'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { openPool } from './pool.ts'
import { type Catalogue, openCatalogue, stagedSource } from './test-catalogue.ts'
import { createTestDatabase } from './testing.ts'
import { runnerOn } from './transaction.ts'

const CANARY = 'canary-7f3a'

let catalogue: Catalogue
beforeAll(async () => {
  catalogue = await openCatalogue(inject('postgresUrl'), { poolMax: 4 })
})
afterAll(() => catalogue[Symbol.asyncDispose]())

describe('errors of the database', () => {
  it.each([
    ['a value of the wrong type', sql`select ${CANARY}::uuid`],
    ['a name that does not exist', sql`select ${CANARY}::text from nowhere`],
    [
      'a violated constraint',
      sql`insert into products (id, tenant_id, sku) values (${randomUUID()}, ${randomUUID()}, ${CANARY})`,
    ],
    ['a check', sql`update ingests set state = ${CANARY}`],
    ['a division', sql`select ${CANARY}::text, 1 / ${0}::int`],
    ['a parameter that is undefined', sql`select ${CANARY}::text, ${undefined}::text`],
  ])('tell nobody the parameters: %s', async (_, statement) => {
    await using pool = openPool({ url: catalogue.url, poolMax: 1, applicationName: 'test' })
    await catalogue.accept(null)
    const error: unknown = await runnerOn(pool)
      .query((db) => db.execute(statement))
      .catch((error: unknown) => error)
    expect(error).toBeInstanceOf(SluiceError)
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(CANARY)
  })

  it('are an outage when nobody answers at the address', async () => {
    await using pool = openPool({ url: 'postgres://u:p@127.0.0.1:1/none', poolMax: 1, applicationName: 'test' })
    await expect(runnerOn(pool).query((db) => db.execute(sql`select 1`))).rejects.toMatchObject({ code: 'service_unavailable' })
  })

  it('are an outage while an operator lets nobody into the database', async () => {
    await using database = await createTestDatabase(inject('postgresUrl'))
    await using pool = openPool({ url: database.url, poolMax: 1, applicationName: 'test' })
    await using admin = openPool({ url: inject('postgresUrl'), poolMax: 1, applicationName: 'test' })
    const name = sql.identifier(new URL(database.url).pathname.slice(1))
    await runnerOn(admin).query((db) => db.execute(sql`alter database ${name} allow_connections false`))
    await expect(runnerOn(pool).query((db) => db.execute(sql`select 1`))).rejects.toMatchObject({ code: 'service_unavailable' })
  })

  it('are repeated after a serialisation failure, and told as a conflict after ten', async () => {
    await using pool = openPool({ url: catalogue.url, poolMax: 1, applicationName: 'test' })
    let attempts = 0
    const failing = runnerOn(pool).transaction(async (db) => {
      attempts++
      await db.execute(sql`do $$ begin raise exception 'no' using errcode = '40001'; end $$`)
    })
    await expect(failing).rejects.toMatchObject({ code: 'write_conflicted' })
    expect(attempts).toBe(10)
  })
})

describe('what no column can hold', () => {
  const nul = 'a\0b'
  const strange = [
    { kind: 'id', id: 'no-uuid' as ProductId },
    { kind: 'number', number: 1e30 },
    { kind: 'number', number: 1.5 },
    { kind: 'number', number: Number.NaN },
    { kind: 'sku', sku: nul },
  ] as const

  it.each(strange)('is absent where it is looked up: %o', async (ref) => {
    const { database, tenantId } = catalogue
    const { images } = database
    const imageId = randomUUID() as ImageId
    expect(await database.products.find(tenantId, ref)).toBeNull()
    expect(await images.list(tenantId, ref)).toBeNull()
    expect(await images.find(tenantId, ref, imageId)).toBeNull()
    expect(await database.ingests.list(tenantId, { product: ref }, { before: null, limit: 10 })).toEqual([])
    await expect(images.edit(tenantId, ref, imageId, {}, null)).rejects.toMatchObject({ code: 'product_unknown' })
  })

  it('is absent as a name, a hash, a digest, an id or a text, too', async () => {
    const { database, tenantId } = catalogue
    expect(await database.tenants.findByName(nul)).toBeNull()
    expect(await database.tokens.authenticate(nul)).toBeNull()
    expect(await database.tokens.findActive(nul as never)).toBeNull()
    expect(await database.files.find(tenantId, nul as never)).toBeNull()
    expect(await database.files.findFacts(tenantId, nul as never)).toBeNull()
    expect(await database.ingests.find(tenantId, nul as IngestId)).toBeNull()
    expect(await database.ingests.timeline(tenantId, nul as IngestId)).toEqual([])
    expect(await database.ingests.list(tenantId, { text: nul }, { before: null, limit: 10 })).toEqual([])
    expect(await database.ingests.list(tenantId, {}, { before: nul as IngestId, limit: 10 })).toEqual([])
  })

  it('is an invalid request where it is written', async () => {
    const { database, tenantId } = catalogue
    const product = await catalogue.newProduct()
    const invalid = { code: 'request_invalid' }
    const id = randomUUID() as ProductId
    await expect(database.products.create({ id, tenantId, sku: nul, title: null })).rejects.toMatchObject(invalid)
    await expect(catalogue.accept(product, { source: { ...stagedSource(), fileName: nul } })).rejects.toMatchObject(invalid)
    const imageId = await catalogue.attach(product)
    const edit = database.images.edit(tenantId, { kind: 'id', id: product.id }, imageId, { label: nul }, null)
    await expect(edit).rejects.toMatchObject(invalid)
  })
})
