import { stageUpload } from '../accept-upload.ts'
import { SluiceError } from '../errors.ts'
import { blobKey } from '../file.ts'
import type { Ingest, Source, StagedSource } from '../ingest.ts'
import { NotYet, type StepOutcome, type Work } from '../pipeline.ts'
import type { Fetched, World } from '../ports.ts'
import { gather } from './gather.ts'
import type { UrlSource } from '../url-source.ts'

/**
 * Brings the bytes at an address into staging, in one pass. What the tenant got from there before, and still has, is not fetched
 * again while its server says that it is the same.
 */
export async function fetch({ ingest }: Work, world: World, signal: AbortSignal): Promise<StepOutcome> {
  const { source, tenantId } = ingest
  if (source.kind === 'uploaded') return gather(source, world, signal)
  if (source.kind !== 'url') return { kind: 'skipped', because: 'the image does not come from an address' }
  const left = await fetchedBefore(ingest, world, signal)
  if (left) return left

  const { host } = new URL(source.url)
  const slot = await world.fetchSlots.take(host, tenantId)
  if (slot.waitMs !== undefined) throw new NotYet(slot.waitMs, `nothing more may be fetched from ${host} at the moment`)
  using _slot = slot
  try {
    return await fetchNow(ingest, source, world, signal)
  } catch (error) {
    const waitMs = SluiceError.is(error, 'source_unavailable') ? error.details['retryAfterMs'] : null
    if (typeof waitMs === 'number') world.fetchSlots.rest(host, tenantId, waitMs)
    throw error
  }
}

/** What an earlier run has fetched that did not come to its end. If it was lost since, it is fetched anew. */
async function fetchedBefore({ fetched }: Ingest, world: World, signal: AbortSignal): Promise<StepOutcome | null> {
  if (!fetched) return null
  const copy = await world.objects.checkOut(fetched.key, signal)
  if (copy?.digest === fetched.digest) {
    return { kind: 'skipped', found: { staged: fetched, copy }, because: 'an earlier run has fetched it' }
  }
  await copy?.[Symbol.asyncDispose]()
  return null
}

type UrlOrigin = Extract<Source, { kind: 'url' }>

async function fetchNow(ingest: Ingest, source: UrlOrigin, world: World, signal: AbortSignal): Promise<StepOutcome> {
  const known = await findKnown(ingest, source, world)
  const fetched = known
    ? await world.fetcher.fetchChanged(source.url, known, signal)
    : await world.fetcher.fetch(source.url, signal)
  if (fetched) return { kind: 'done', found: { staged: await keep(ingest, source, fetched, world, signal) } }
  if (!known) throw new Error('what was asked for without a condition cannot be unchanged')
  return { kind: 'skipped', found: { staged: unchanged(ingest, source, known) }, because: 'it has not changed since' }
}

type Known = UrlSource & { readonly bytes: number }

/** What the address showed the last time, if all of it is still there: only then may its server say that nothing has changed. */
async function findKnown({ tenantId }: Ingest, { url }: UrlOrigin, { database, objects }: World): Promise<Known | null> {
  const known = await database.urlSources.find(tenantId, url)
  const facts = known && (await database.files.findFacts(tenantId, known.digest))
  if (!facts || (await objects.statBlob(blobKey(tenantId, facts.digest))) !== facts.bytes) return null
  return { ...known, bytes: facts.bytes }
}

/** Nothing is staged under this key, and nobody looks there: `validate` knows the digest. */
function unchanged({ id, tenantId }: Ingest, source: UrlOrigin, { digest, bytes, fileName }: Known): StagedSource {
  return {
    kind: 'staged',
    key: `${tenantId}/${id}`,
    digest,
    bytes,
    declaredType: null,
    typeMustMatch: false,
    fileName: source.fileName ?? fileName,
    reusesFile: false,
  }
}

/** Stages the bytes, and notes where: a run that comes after this one takes them from there. */
async function keep(
  { id, tenantId }: Ingest,
  source: UrlOrigin,
  { contentType, fileName, validators, bytes }: Fetched,
  world: World,
  signal: AbortSignal,
): Promise<StagedSource> {
  const { database } = world
  const declaration = { contentType, fileName: source.fileName ?? fileName, typeMustMatch: false }
  const upload = await stageUpload(world, tenantId, bytes, declaration, signal)
  try {
    await database.ingests.noteFetched(id, upload.source)
    if (validators.etag !== null || validators.lastModified !== null) {
      const { digest, fileName: safeName } = upload.source
      await database.urlSources.remember(tenantId, source.url, { ...validators, digest, fileName: safeName })
    }
    return upload.source
  } catch (error) {
    await upload.discard()
    throw error
  }
}
