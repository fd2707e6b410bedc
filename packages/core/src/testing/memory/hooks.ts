import { SluiceError } from '../../errors.ts'
import type { HookEvent, HookEventFilter, Hooks, HookSource } from '../../hook.ts'
import type { HookEventId, HookSourceId, IngestId, TenantId } from '../../ids.ts'
import type { Ingest } from '../../ingest.ts'
import { INBOX, type Tables } from './tables.ts'

type Row = HookEvent & { readonly claimedUntilMs: number }

const REUSED = { code: 'event_id_reused', detail: 'Another event had this id, which nobody has signed.' } as const

function supersededBy(ingest: Ingest, by: IngestId): Ingest {
  const { problem } = ingest
  return problem ? { ...ingest, problem: { ...problem, details: { ...problem.details, superseded_by: by } } } : ingest
}

export function memoryHooks({ now, ingests, wake }: Tables): Hooks {
  const sources = new Map<HookSourceId, HookSource>()
  /** In the order in which they came. */
  const events = new Map<HookEventId, Row>()
  const items = new Map<string, IngestId>()
  const versions = new Map<string, string>()
  const nowMs = () => now().getTime()
  const own = (tenantId: TenantId, id: HookSourceId) => {
    const source = sources.get(id)
    return source?.tenantId === tenantId ? source : null
  }
  const found = (tenantId: TenantId, sourceId: HookSourceId, filter: HookEventFilter) =>
    [...events.values()].filter((row) => row.tenantId === tenantId && row.sourceId === sourceId && isFound(row, filter))

  return {
    async createSource(source, max) {
      const known = sources.get(source.id)
      if (known) return known
      const count = [...sources.values()].filter(({ tenantId }) => tenantId === source.tenantId).length
      if (count >= max) throw new SluiceError('hook_sources_exceeded')
      const created = { ...source, createdAt: now(), updatedAt: now() }
      sources.set(source.id, created)
      return created
    },
    findSource: async (tenantId, id) => own(tenantId, id),
    findSourceByAddress: async (id) => sources.get(id) ?? null,
    listSources: async (tenantId) =>
      [...sources.values()].filter((source) => source.tenantId === tenantId).sort((a, b) => (a.id < b.id ? 1 : -1)),
    async updateSource(tenantId, id, change) {
      const source = own(tenantId, id)
      if (!source) throw new SluiceError('hook_source_unknown')
      const updated = { ...source, ...change, updatedAt: now() }
      sources.set(id, updated)
      return updated
    },
    async removeSource(tenantId, id) {
      if (!own(tenantId, id)) return false
      for (const { id: eventId, sourceId } of events.values()) if (sourceId === id) events.delete(eventId)
      return sources.delete(id)
    },

    async receive(event) {
      if (!own(event.tenantId, event.sourceId)) throw new SluiceError('hook_source_unknown')
      const beside = [...events.values()].filter(({ sourceId }) => sourceId === event.sourceId)
      if (beside.some(({ key }) => key === event.key)) return false
      const isReused = event.saidId !== null && beside.some(({ saidId }) => saidId === event.saidId)
      events.set(event.id, {
        ...event,
        state: isReused ? 'quarantined' : 'received',
        problem: isReused ? REUSED : null,
        attempts: 0,
        results: [],
        receivedAt: now(),
        processedAt: isReused ? now() : null,
        claimedUntilMs: 0,
      })
      wake(INBOX)
      return true
    },
    countWaiting: async (sourceId, max) =>
      Math.min(max, [...events.values()].filter((event) => event.sourceId === sourceId && event.state === 'received').length),
    async claim(limit, leaseMs) {
      const free = [...events.values()].filter(
        ({ state, claimedUntilMs, sourceId }) =>
          state === 'received' && claimedUntilMs <= nowMs() && sources.get(sourceId)?.enabled === true,
      )
      const order = [...events.keys()]
      const placeOf = (row: Row) => free.filter(({ sourceId }) => sourceId === row.sourceId).indexOf(row)
      const chosen = free.toSorted((a, b) => placeOf(a) - placeOf(b)).slice(0, limit)
      const arrived = chosen.toSorted((a, b) => order.indexOf(a.id) - order.indexOf(b.id))
      return arrived.map((row) => {
        const claimed = { ...row, attempts: row.attempts + 1, claimedUntilMs: nowMs() + leaseMs }
        events.set(row.id, claimed)
        return eventOf(claimed)
      })
    },
    async release(id, { waitMs, forgiveAttempt }) {
      const row = events.get(id)
      if (row?.state !== 'received') return
      const attempts = Math.max(0, row.attempts - (forgiveAttempt ? 1 : 0))
      events.set(id, { ...row, attempts, claimedUntilMs: nowMs() + waitMs })
    },
    async finish(id, end) {
      const row = events.get(id)
      if (row?.state !== 'received') return false
      events.set(id, { ...row, ...end, processedAt: now() })
      return true
    },
    async holdItem(sourceId, key, candidate) {
      const place = `${sourceId}/${key}`
      const holder = items.get(place)
      const state = holder && ingests.get(holder)?.state
      if (holder && state !== 'rejected' && state !== 'failed') return holder
      items.set(place, candidate)
      const over = holder && ingests.get(holder)
      if (over?.state === 'failed') ingests.set(over.id, supersededBy(over, candidate))
      return candidate
    },
    async advance(sourceId, subject, version) {
      const place = `${sourceId}/${subject}`
      const seen = versions.get(place)
      if (seen !== undefined && Buffer.compare(Buffer.from(seen), Buffer.from(version)) > 0) return false
      versions.set(place, version)
      return true
    },

    async findEvent(tenantId, sourceId, id) {
      const [row] = found(tenantId, sourceId, { ids: [id] })
      return row ? eventOf(row) : null
    },
    async listEvents(tenantId, sourceId, filter, { before, limit }) {
      return found(tenantId, sourceId, filter)
        .filter(({ id }) => before === null || id < before)
        .sort((a, b) => (a.id < b.id ? 1 : -1))
        .slice(0, limit)
        .map(withoutBody)
    },
    async redrive(tenantId, sourceId, filter, limit) {
      const quarantined = found(tenantId, sourceId, filter).filter(({ state }) => state === 'quarantined')
      const again = quarantined.slice(0, limit)
      for (const row of again) {
        events.set(row.id, { ...row, state: 'received', attempts: 0, claimedUntilMs: 0, problem: null, processedAt: null })
      }
      wake(INBOX)
      return again.length
    },
    async forget(keptMs, limit) {
      const isOld = ({ state, receivedAt }: Row) => state !== 'received' && receivedAt.getTime() < nowMs() - keptMs
      const old = [...events.values()].filter(isOld).slice(0, limit)
      for (const { id } of old) events.delete(id)
      return old.length
    },
  }
}

function isFound({ id, state, receivedAt }: Row, { states, ids, receivedFrom, receivedTo }: HookEventFilter): boolean {
  if (states && !states.includes(state)) return false
  if (ids && !ids.includes(id)) return false
  if (receivedFrom && receivedAt < receivedFrom) return false
  return !(receivedTo && receivedAt >= receivedTo)
}

function eventOf(row: Row): HookEvent {
  const { claimedUntilMs: _, ...event } = row
  return event
}

function withoutBody(row: Row): HookEvent {
  return { ...eventOf(row), body: new Uint8Array() }
}
