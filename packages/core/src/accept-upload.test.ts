import { afterEach, describe, expect, test } from 'vitest'
import { acceptIngest, stageUpload } from './accept-upload.ts'
import { SluiceError } from './errors.ts'
import type { IngestId, TenantId, TokenId } from './ids.ts'
import type { Caller, Database } from './ports.ts'
import { imageBytes, memoryDatabase, memoryWorld, type MemoryWorld, newId } from './testing/index.ts'

const worlds: MemoryWorld[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world[Symbol.asyncDispose]()
})

/** Uploads one file to a world whose database answers the promise in its own way. */
async function upload(answer: (accept: () => Promise<unknown>) => Promise<never>) {
  const database = memoryDatabase()
  const accept: Database['ingests']['accept'] = (ingest) => answer(() => database.ingests.accept(ingest))
  const world = memoryWorld({ database: { ...database, ingests: { ...database.ingests, accept } } })
  worlds.push(world)
  const tenantId = (await database.tenants.findByName('default')) as TenantId
  const caller: Caller = { tokenId: newId() as TokenId, tenantId, role: 'writer', name: 'test', number: 1 }
  const declaration = { contentType: null, fileName: null, typeMustMatch: false }
  const bytes = (async function* () {
    yield imageBytes('a tulip')
  })()
  const from = await stageUpload(world, tenantId, bytes, declaration, new AbortController().signal)
  const request = { id: newId() as IngestId, from, target: null, idempotency: null, answer: null }
  const accepted = await acceptIngest(world, caller, request).catch((error: unknown) => error)
  const staged = await world.objects.listStaged(new Date(world.now().getTime() + 1), 10)
  return { accepted, staged }
}

describe('the staged bytes of an upload', () => {
  test.each([
    ['the answer was lost', new SluiceError('service_unavailable')],
    ['something nobody thought of went wrong', new Error('a bug behind the commit')],
  ])('stay with their ingest when it was recorded but %s', async (_what, error) => {
    const { accepted, staged } = await upload(async (accept) => {
      await accept()
      throw error
    })
    expect(accepted).toMatchObject({ state: 'received' })
    expect(staged).toHaveLength(1)
  })

  test.each([new SluiceError('service_unavailable'), new Error('a bug')])(
    'are left to the sweeper when nobody can say whether an ingest holds them (%s)',
    async (thrown) => {
      const { accepted, staged } = await upload(() => Promise.reject(thrown))
      expect(accepted).toBe(thrown)
      expect(staged).toHaveLength(1)
    },
  )

  test('are discarded when the promise was refused', async () => {
    const { accepted, staged } = await upload(() => Promise.reject(new SluiceError('idempotency_key_in_flight')))
    expect(accepted).toMatchObject({ code: 'idempotency_key_in_flight' })
    expect(staged).toEqual([])
  })
})
