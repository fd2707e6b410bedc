import { type Ingest, POSTPONED_BECAUSE, type Postponed } from './ingest.ts'
import type { Limits } from './limits.ts'
import { shownUrl } from './url-source.ts'

export const WAIT_REASONS = ['queue', 'running', 'interrupted', 'product', ...POSTPONED_BECAUSE] as const

/** Why an ingest is not over, in a word for programs and a sentence for people. */
export interface Wait {
  readonly reason: (typeof WAIT_REASONS)[number]
  readonly detail: string
  /** When that will be over at the latest, as far as it is known; of what comes again, when it does. */
  readonly until: Date | null
}

type Bounds = Pick<Limits, 'ingestMsMax' | 'reconcileAfterMs'>

/** Null when it is over. */
export function whyWaiting(ingest: Ingest, now: Date, bounds: Bounds): Wait | null {
  const { state, parking, updatedAt, postponed } = ingest
  if (state === 'parked' && parking) return waitsForProduct(parking)
  if (state !== 'running' && state !== 'received') return null
  const requeuedAt = new Date(updatedAt.getTime() + bounds.reconcileAfterMs)
  if (state === 'running') return runs(updatedAt, requeuedAt, now, bounds)
  // A little late is a queue; very late is one that has lost it.
  return postponed && now <= requeuedAt ? waitsAgain(ingest, postponed) : waitsInLine(ingest)
}

function waitsForProduct({ sku, until }: NonNullable<Ingest['parking']>): Wait {
  return { reason: 'product', detail: `There is no product with the SKU "${sku}" yet.`, until }
}

function runs(startedAt: Date, requeuedAt: Date, now: Date, { ingestMsMax }: Bounds): Wait {
  if (now.getTime() - startedAt.getTime() <= ingestMsMax) {
    return { reason: 'running', detail: 'A worker has begun with it.', until: new Date(startedAt.getTime() + ingestMsMax) }
  }
  const detail = 'The worker that had begun with it does not go on. It is queued again by whichever worker looks first.'
  return { reason: 'interrupted', detail, until: requeuedAt }
}

function waitsInLine({ attempts, problem }: Ingest): Wait {
  const detail =
    attempts > 0 || problem ? 'It waits in line for its next attempt.' : 'It waits in line: no worker has begun with it yet.'
  return { reason: 'queue', detail, until: null }
}

function waitsAgain({ source, problem, attempts }: Ingest, { because, until }: Postponed): Wait {
  const host = source.kind === 'url' ? URL.parse(shownUrl(source.url))?.host : null
  const last = problem ? ` The last error was: ${problem.detail}` : ''
  const details = {
    outage: `Something that it needs was out of reach; that does not count as an attempt.${last}`,
    error: `Attempt ${attempts} failed, and the next one comes.${last}`,
    source: `The server of its file does not give it at the moment.${last}`,
    turn: `As much as may be is being fetched${host ? ` from ${host}` : ''} already.`,
    shutdown: 'Its worker was stopped in the middle of it; another one goes on.',
  } as const satisfies Record<Postponed['because'], string>
  return { reason: because, detail: details[because], until }
}
