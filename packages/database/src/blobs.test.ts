import { randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type BlobRef, blobKey, type Digest, type FileId, type Ingest, SluiceError } from '@sluice/core'
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest'
import { type Catalogue, concurrently, factsOf, openCatalogue, range, stagedSource } from './test-catalogue.ts'

let catalogue: Catalogue
beforeAll(async () => {
  catalogue = await openCatalogue(inject('postgresUrl'))
})
afterAll(() => catalogue[Symbol.asyncDispose]())

const sourceOf = (digest: Digest) => ({ ...stagedSource(), digest })
const accept = (digest: Digest) => catalogue.accept(null, { source: sourceOf(digest) })

async function fileOf({ id, tenantId }: Pick<Ingest, 'id' | 'tenantId'>): Promise<FileId> {
  const ingest = await catalogue.database.ingests.find(tenantId, id)
  if (!ingest?.result) throw new Error('the ingest has no file')
  return ingest.result.fileId
}

async function abandoned(): Promise<BlobRef> {
  const { digest } = stagedSource()
  const ingest = await accept(digest)
  await catalogue.commit(ingest)
  await catalogue.database.files.remove(catalogue.tenantId, await fileOf(ingest))
  return { tenantId: catalogue.tenantId, digest }
}

/** Sessions of this database that wait for a lock. */
async function waiting(count: number): Promise<void> {
  await vi.waitFor(
    async () => {
      const rows = await catalogue.sql`
        select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
      expect(rows).toHaveLength(count)
    },
    { timeout: 10_000, interval: 20 },
  )
}

describe('the removal of a blob', () => {
  it('waits for a commit that is under way, and does not begin after it', async () => {
    const ref = await abandoned()
    const { blobs } = catalogue.database
    await blobs.mark([ref])
    const ingest = await accept(ref.digest)
    const both = await catalogue.sql.begin(async (held) => {
      await held`select from blobs where digest = ${ref.digest} for update`
      const commit = catalogue.commit(ingest)
      await waiting(1)
      const removal = blobs.beginRemoval(ref, 0)
      await waiting(2)
      return { commit, removal }
    })
    expect(await both.commit).toBe('committed')
    expect(await both.removal).toBe(false)
    expect(await blobs.findMany([ref])).toMatchObject([{ isReferenced: true }])
  })

  it('lets no file show bytes that are gone, however stores, commits, removals and deaths meet', async () => {
    const digests = range(3).map(() => stagedSource().digest)
    const store = new Set<string>()
    const { database, tenantId } = catalogue
    const keyOf = (digest: Digest) => blobKey(tenantId, digest)
    /** Removals whose remover is dead; on a slow machine others are older than it should take, too. */
    const died = new Set<Digest>()
    let retried = 0
    let removed = 0

    /** As the steps `validate` and `store` do it: what is known and there is not stored again. */
    async function bring(digest: Digest): Promise<void> {
      const accepted = await accept(digest)
      for (;;) {
        const ingest = await database.ingests.start(accepted.id, accepted.epoch)
        if (!ingest) throw new Error('the ingest was taken away')
        await database.files.findFacts(tenantId, digest)
        if (!store.has(keyOf(digest))) store.add(keyOf(digest))
        await pause()
        try {
          const facts = factsOf({ source: sourceOf(digest) })
          const file = { kind: 'new', id: randomUUID() as FileId, name: null, facts, reuses: false } as const
          await catalogue.commit(ingest, { file, since: ingest.updatedAt })
          break
        } catch (error) {
          if (!SluiceError.is(error, 'service_unavailable')) throw error
          retried += 1
          await database.ingests.release(ingest.id, { forgiveAttempt: true, problem: null, timeline: [] })
        }
      }
      expect(store).toContain(keyOf(digest))
      await pause()
      await database.files.remove(tenantId, await fileOf(accepted))
    }

    async function sweep(digest: Digest, dies: boolean): Promise<void> {
      const ref = { tenantId, digest }
      await database.blobs.mark([ref])
      if (await database.blobs.beginRemoval(ref, 0)) await (dies ? died.add(digest) : finish(ref))
      for (const left of await database.blobs.takeOverRemovals(20, 10)) if (died.delete(left.digest)) await finish(left)
    }
    async function finish(ref: BlobRef): Promise<void> {
      await pause()
      store.delete(blobKey(ref.tenantId, ref.digest))
      removed += 1
      await pause()
      await database.blobs.endRemoval(ref)
    }

    const over = new AbortController()
    const sweeping = range(3).map(async (n) => {
      for (let turn = n; !over.signal.aborted; turn += 1) await sweep(digests[turn % 3] as Digest, turn % 5 === 0)
    })
    const bringing = concurrently(8, range(120), (n) => bring(digests[n % 3] as Digest)).finally(() => over.abort())
    await Promise.all([bringing, ...sweeping])
    expect(removed).toBeGreaterThan(5)
    expect(retried).toBeGreaterThan(0)
  })
})

async function pause(): Promise<void> {
  for (let turn = Math.random() * 8; turn > 0; turn -= 1) await nextTurn()
}
