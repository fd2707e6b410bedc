import { type ErrorCode, SluiceError } from './errors.ts'
import { blobKey } from './file.ts'
import type { IngestId, TenantId } from './ids.ts'
import { type Ingest, isTerminal, stagedKeysOf } from './ingest.ts'
import type { Limits } from './limits.ts'
import type { IngestFilter, World } from './ports.ts'

type ReplayWorld = Pick<World, 'database' | 'objects' | 'observer' | 'limits' | 'now'>

/** Why an ingest is not replayed, and what to do instead. */
export interface Refusal {
  readonly id: IngestId
  readonly code: ErrorCode
  readonly detail: string
}

/** What becomes of the failed ones that were looked at; in a dry run none is replayed. */
export interface Replays {
  readonly matched: number
  readonly replayed: readonly Ingest[]
  readonly refused: readonly Refusal[]
  /** From where to go on; null at the end. */
  readonly next: IngestId | null
}

export interface ReplayAsk {
  readonly filter: Omit<IngestFilter, 'states'>
  /** Only those below it, as in a list. */
  readonly before: IngestId | null
  readonly limit: number
  readonly isDryRun: boolean
}

/** Throws `ingest_unknown`, `ingest_not_replayable`, `ingest_bytes_gone`. */
export async function replayIngest(world: ReplayWorld, tenantId: TenantId, id: IngestId): Promise<Ingest> {
  const { replayed, refused } = await replayThese(world, tenantId, [id], false)
  const [refusal] = refused
  if (refusal) throw new SluiceError(refusal.code, refusal.detail)
  const [ingest] = replayed
  if (!ingest) throw new Error('it was neither replayed nor refused')
  return ingest
}

/** What is named and cannot be replayed is refused, whatever the reason is. */
export async function replayThese(
  world: ReplayWorld,
  tenantId: TenantId,
  ids: readonly IngestId[],
  isDryRun: boolean,
): Promise<Replays> {
  const wanted = [...new Set(ids)]
  const found = await world.database.ingests.list(tenantId, { ids: wanted }, { before: null, limit: wanted.length })
  const known = new Set(found.map(({ id }) => id))
  const unknown = wanted.filter((id) => !known.has(id)).map((id): Refusal => ({ id, code: 'ingest_unknown', detail: UNKNOWN }))
  const { replayed, refused } = await replayFound(world, tenantId, found, isDryRun)
  return { matched: found.length, replayed, refused: [...refused, ...unknown], next: null }
}

/** One page of the failed ones that the filter lets through, newest first: whoever goes on with `next` meets none of them twice. */
export async function replayFailed(world: ReplayWorld, tenantId: TenantId, ask: ReplayAsk): Promise<Replays> {
  const { filter, before, limit, isDryRun } = ask
  const page = { before, limit: limit + 1 }
  const found = await world.database.ingests.list(tenantId, { ...filter, states: ['failed'] }, page)
  const looked = found.slice(0, limit)
  const next = found.length > limit ? (looked.at(-1)?.id ?? null) : null
  return { matched: looked.length, ...(await replayFound(world, tenantId, looked, isDryRun)), next }
}

async function replayFound(
  world: ReplayWorld,
  tenantId: TenantId,
  found: readonly Ingest[],
  isDryRun: boolean,
): Promise<Pick<Replays, 'replayed' | 'refused'>> {
  const { ingests } = world.database
  const refused = await refusalsOf(world, found)
  const isRefused = new Set(refused.map(({ id }) => id))
  const ids = found.map(({ id }) => id).filter((id) => !isRefused.has(id))
  if (isDryRun || ids.length === 0) return { replayed: [], refused }

  const replayed = await ingests.replay(tenantId, ids, replayableMs(world.limits))
  if (replayed.length > 0) world.observer.observe({ kind: 'ingest.replayed', ingestIds: replayed.map(({ id }) => id) })
  const isReplayed = new Set(replayed.map(({ id }) => id))
  const late = ids.filter((id) => !isReplayed.has(id)).map((id): Refusal => ({ id, code: 'ingest_not_replayable', detail: LATE }))
  return { replayed, refused: [...refused, ...late] }
}

/** Objects that are asked for at a time. */
const LOOKED_AT_ONCE = 16

async function refusalsOf(world: ReplayWorld, found: readonly Ingest[]): Promise<readonly Refusal[]> {
  const refused: Refusal[] = []
  for (let at = 0; at < found.length; at += LOOKED_AT_ONCE) {
    const group = found.slice(at, at + LOOKED_AT_ONCE)
    const reasons = await Promise.all(group.map((ingest) => refusalOf(world, ingest)))
    refused.push(...reasons.filter((reason) => reason !== null))
  }
  return refused
}

async function refusalOf(world: ReplayWorld, ingest: Ingest): Promise<Refusal | null> {
  const { id } = ingest
  const reason = whyNotReplayable(ingest, world)
  if (reason) return { id, ...reason }
  return (await hasItsBytes(world, ingest)) ? null : { id, code: 'ingest_bytes_gone', detail: GONE }
}

/**
 * What can be told without a look into the store, which a list should not wait for. Null when it may be replayed. What was rejected
 * would be again: its bytes are not kept, and sums of such ingests are.
 */
export function whyNotReplayable(
  ingest: Ingest,
  world: Pick<World, 'limits' | 'now'>,
): { readonly code: ErrorCode; readonly detail: string } | null {
  const { state } = ingest
  if (state === 'rejected') return { code: 'ingest_not_replayable', detail: REJECTED }
  if (state !== 'failed') return { code: 'ingest_not_replayable', detail: isTerminal(state) ? COMMITTED : OPEN }
  const successor = ingest.problem?.details?.['superseded_by']
  if (typeof successor === 'string') return { code: 'ingest_not_replayable', detail: `${SUPERSEDED} ${successor}.` }
  const until = replayableUntil(ingest, world.limits)
  return until !== null && until <= world.now() ? { code: 'ingest_bytes_gone', detail: GONE } : null
}

/** As long as its bytes are kept; null for ever, because it can get them again. */
export function replayableUntil({ source, finishedAt }: Ingest, limits: World['limits']): Date | null {
  if (source.kind === 'url' || source.kind === 'file' || finishedAt === null) return null
  return new Date(finishedAt.getTime() + replayableMs(limits))
}

/** A replay that was begun in time is written within this: far longer than the deadline of its statement. */
const REPLAY_MS_MAX = 60_000

/** A little less than the bytes are kept: a sweeper may have looked already that is about to remove them. */
function replayableMs({ failedBytesMsMax }: Pick<Limits, 'failedBytesMsMax'>): number {
  return Math.max(failedBytesMsMax - REPLAY_MS_MAX, failedBytesMsMax / 2)
}

/** Where the steps would look for them. */
async function hasItsBytes({ database, objects }: ReplayWorld, { tenantId, source, fetched }: Ingest): Promise<boolean> {
  if (source.kind === 'url' || source.kind === 'file') return true
  if (await areStaged(objects, stagedKeysOf({ source, fetched }))) return true
  const facts = source.kind === 'staged' ? await database.files.findFacts(tenantId, source.digest) : null
  return facts !== null && (await objects.statBlob(blobKey(tenantId, facts.digest))) === facts.bytes
}

async function areStaged(objects: World['objects'], keys: readonly string[]): Promise<boolean> {
  for (const key of keys) if ((await objects.statStaged(key)) === null) return false
  return true
}

const UNKNOWN = 'There is no such ingest.'
const OPEN = 'It is not over: there is nothing to replay.'
const COMMITTED = 'It was committed: there is nothing to replay.'
const REJECTED = 'It was rejected, since the request or its file is at fault. Mend that, and send it anew.'
const SUPERSEDED = 'A later event has brought the same item, as the ingest'
const GONE = 'Its bytes are not kept any more. Send the file again.'
const LATE = 'It was replayed by somebody else at the same time, or its bytes are not kept any more.'
