import { randomBytes } from 'node:crypto'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { migrate } from './migrate.ts'
import { openDatabase } from './open-database.ts'
import { createTestDatabase } from './testing.ts'

describe('migrate', () => {
  const name = `sluice_migrate_${randomBytes(6).toString('hex')}`
  const admin = postgres(inject('postgresUrl'), { max: 1, onnotice: () => undefined })
  const url = Object.assign(new URL(inject('postgresUrl')), { pathname: `/${name}` }).href
  beforeAll(async () => void (await admin.unsafe(`create database ${name}`)))
  afterAll(async () => {
    await admin.unsafe(`drop database ${name} with (force)`)
    await admin.end()
  })

  it('may be called by several processes at once, and again', async () => {
    await Promise.all(Array.from({ length: 5 }, () => migrate(url)))
    await migrate(url)
    await using database = await openDatabase({ url, poolMax: 1, applicationName: 'test' })
    expect(await database.tenants.findByName('default')).not.toBeNull()
  })
})

describe('createTestDatabase', () => {
  it('gives each caller a database of its own, and removes it', async () => {
    const made = await Promise.all(Array.from({ length: 4 }, () => createTestDatabase(inject('postgresUrl'))))
    expect(new Set(made.map(({ url }) => url)).size).toBe(4)
    for (const database of made) await database[Symbol.asyncDispose]()
    await using gone = await openDatabase({ url: made[0]?.url ?? '', poolMax: 1, applicationName: 'test' })
    await expect(gone.ping()).rejects.toMatchObject({ code: 'service_unavailable' })
  })
})
