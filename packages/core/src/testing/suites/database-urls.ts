import { expect, test } from 'vitest'
import type { FileId, TenantId } from '../../ids.ts'
import type { Ingest } from '../../ingest.ts'
import type { UrlSource } from '../../url-source.ts'
import { aFacts, aStagedSource, newDigest, newId } from '../builders.ts'
import { LONG_MS, present, type Subject } from './catalogue.ts'

const aUrl = () => `https://images.example/${newId()}.jpg?signature=s3cret`

const aUrlSource = (change: Partial<UrlSource> = {}): UrlSource => ({
  etag: '"1"',
  lastModified: 'Sat, 21 Nov 2026 10:00:00 GMT',
  digest: newDigest(),
  fileName: 'front.jpg',
  ...change,
})

/** Ingests whose bytes are fetched, and what is remembered of where they came from. */
export function urlTests({ catalogue, openOwn }: Subject): void {
  const ingests = () => catalogue().database.ingests
  const urls = () => catalogue().database.urlSources
  const find = async ({ tenantId, id }: Ingest) => present(await ingests().find(tenantId, id))
  const stepsOf = async ({ tenantId, id }: Ingest) => (await ingests().timeline(tenantId, id)).map(({ step }) => step)
  const acceptUrl = (fileName: string | null = null, url = aUrl()) =>
    catalogue().accept({ source: { kind: 'url', url, fileName } })

  test('an ingest of an address has nothing staged, until it is noted what was fetched', async () => {
    const ingest = await acceptUrl()
    expect(await find(ingest)).toEqual(ingest)
    expect(ingest).toMatchObject({ source: { kind: 'url', fileName: null }, fetched: null })
    const fetched = aStagedSource({ fileName: 'front.jpg', declaredType: 'image/jpeg' })
    await ingests().start(ingest.id, 0)
    await ingests().noteFetched(ingest.id, fetched)
    await ingests().noteFetched(ingest.id, fetched)
    expect(await find(ingest)).toMatchObject({ source: { ...ingest.source, fileName: 'front.jpg' }, fetched })
    expect(await ingests().stagedInUse([fetched.key], LONG_MS)).toEqual(new Set([fetched.key]))
    expect(await ingests().start(ingest.id, 0)).toMatchObject({ fetched })
    await ingests().noteFetched(ingest.id, { ...fetched, key: 'staged/later' })
    expect((await find(ingest)).fetched?.key).toBe('staged/later')
  })

  test('the name that was given stays', async () => {
    const ingest = await acceptUrl('shirt.jpg')
    await ingests().start(ingest.id, 0)
    await ingests().noteFetched(ingest.id, aStagedSource({ fileName: 'front.jpg' }))
    expect(await find(ingest)).toMatchObject({ source: { fileName: 'shirt.jpg' }, fetched: { fileName: 'shirt.jpg' } })
  })

  test('nothing is noted for who does not run, or has no address', async () => {
    const [waiting, staged] = [await acceptUrl(), await catalogue().accept()]
    await ingests().start(staged.id, 0)
    for (const { id } of [waiting, staged]) await ingests().noteFetched(id, aStagedSource())
    expect(await find(waiting)).toMatchObject({ fetched: null })
    expect(await find(staged)).toMatchObject({ source: staged.source, fetched: null })
  })

  test('what was fetched is committed as a file, under its name', async () => {
    const ingest = await acceptUrl()
    const id = newId() as FileId
    const file = { kind: 'new', id, name: 'front.jpg', facts: aFacts(), reuses: false } as const
    expect(await catalogue().commit(ingest, { file })).toBe('committed')
    expect(await catalogue().database.files.find(ingest.tenantId, id)).toMatchObject({ name: 'front.jpg' })
  })

  test('who is put back was never started', async () => {
    const ingest = await acceptUrl()
    expect(await ingests().putBack(ingest.id)).toBe(false)
    await ingests().start(ingest.id, 0)
    await ingests().release(ingest.id, { forgiveAttempt: false, problem: null, timeline: [] })
    await ingests().start(ingest.id, 0)
    expect(await ingests().putBack(ingest.id)).toBe(true)
    expect(await ingests().putBack(ingest.id)).toBe(false)
    expect(await find(ingest)).toMatchObject({ state: 'received', attempts: 1 })
    expect(await stepsOf(ingest)).toEqual(['accept', 'start'])
    expect(await ingests().start(ingest.id, 0)).toMatchObject({ attempts: 2 })
  })

  test('an ingest is found by a part of its address, but by nothing that may open it', async () => {
    const url = aUrl()
    const ingest = await acceptUrl(null, url)
    const found = (text: string) => ingests().list(ingest.tenantId, { text }, { before: null, limit: 10 })
    expect(await found(url.slice(10, -18).toUpperCase())).toEqual([ingest])
    expect(await found(`${url.slice(10, -18)}?signature`)).toEqual([])
    expect(await found('s3cret')).toEqual([])
  })

  test('what an address showed is remembered per tenant, the last of it', async () => {
    const { home, stranger } = catalogue()
    const url = aUrl()
    const [first, second] = [aUrlSource(), aUrlSource({ etag: null, fileName: null })]
    expect(await urls().find(home, url)).toBeNull()
    await urls().remember(home, url, first)
    expect(await urls().find(home, url)).toEqual(first)
    await urls().remember(home, url, second)
    expect(await urls().find(home, url)).toEqual(second)
    expect(await urls().find(stranger, url)).toBeNull()
    expect(await urls().find(home, `${url}&x`)).toBeNull()
    await urls().remember(stranger, url, first)
    expect(await urls().find(home, url)).toEqual(second)
  })

  test('many who remember the same address at once end with one of theirs', async () => {
    const url = aUrl()
    const sources = Array.from({ length: 10 }, () => aUrlSource())
    const { home } = catalogue()
    await Promise.all(sources.map((source) => urls().remember(home, url, source)))
    expect(sources).toContainEqual(await urls().find(home, url))
  })

  test('what is old is forgotten, so many at a time', async () => {
    await using own = await openOwn()
    const { database, home } = own
    const remember = (tenantId: TenantId) => database.urlSources.remember(tenantId, aUrl(), aUrlSource())
    for (let count = 0; count < 3; count += 1) await remember(home)
    expect(await database.urlSources.forget(LONG_MS, 10)).toBe(0)
    // Older than a time that is still to come: all of them, however fast or slow this machine is.
    expect(await database.urlSources.forget(-LONG_MS, 2)).toBe(2)
    expect(await database.urlSources.forget(-LONG_MS, 2)).toBe(1)
    expect(await database.urlSources.forget(-LONG_MS, 2)).toBe(0)
  })
}
