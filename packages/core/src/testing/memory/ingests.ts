import { SluiceError } from '../../errors.ts'
import type { IngestId, TenantId } from '../../ids.ts'
import { INGEST_STATES, type Ingest, isTerminal, type IngestState, stagedKeysOf } from '../../ingest.ts'
import type { Delay, Ingests, NewIngest } from '../../ports.ts'
import { holdNewAnswer, memoryAnswers } from './answers.ts'
import { commitIngest } from './commit.ts'
import { tellOfIngest } from './events.ts'
import { bindKey } from './idempotency.ts'
import { listIngests } from './ingest-list.ts'
import { parked, settleParked } from './parking.ts'
import { enqueue, type Tables, writeIngest } from './tables.ts'

export function memoryIngests(tables: Tables): Ingests {
  const { ingests, now, wake } = tables

  function find(tenantId: TenantId, id: IngestId): Ingest | null {
    const ingest = ingests.get(id)
    return ingest?.tenantId === tenantId ? ingest : null
  }

  return {
    ...memoryAnswers(tables),
    find: async (tenantId, id) => find(tenantId, id),
    timeline: async (tenantId, id) => (find(tenantId, id) && tables.timelines.get(id)) ?? [],
    list: async (tenantId, filter, page) => listIngests(tables, tenantId, filter, page),
    commit: async (commit, limits) => commitIngest(tables, commit, limits),

    async accept(ingest) {
      const known = find(ingest.tenantId, ingest.id)
      if (known) return known
      if (!bindKey(tables, ingest)) throw new SluiceError('idempotency_key_in_flight')
      const accepted = writeIngest(tables, received(tables, ingest), { own: { step: 'accept', outcome: 'done' } })
      tables.askers.set(ingest.id, ingest.tokenId)
      holdNewAnswer(tables, ingest)
      if (accepted.state === 'parked') return writeIngest(tables, accepted, { own: { step: 'park', outcome: 'done' } })
      enqueue(tables, accepted)
      return accepted
    },

    async start(id, epoch) {
      const ingest = ingests.get(id)
      if (!ingest || ingest.epoch !== epoch || !mayRun(ingest)) return null
      const running = { ...ingest, state: 'running', attempts: ingest.attempts + 1, postponed: null } as const
      const started = writeIngest(tables, running, { own: { step: 'start', outcome: 'done' } })
      wake(id)
      return started
    },

    async end(id, state, problem, run) {
      const ingest = ingests.get(id)
      if (!ingest || isTerminal(ingest.state)) return false
      const ended = { ...ingest, state, problem, finishedAt: now() }
      writeIngest(tables, ended, { run, own: { step: 'finish', outcome: state } })
      tellOfIngest(tables, ended)
      wake(id)
      return true
    },

    async release(id, { forgiveAttempt, problem, timeline: run, postponed }) {
      const ingest = ingests.get(id)
      if (ingest?.state !== 'running') return false
      const attempts = ingest.attempts - (forgiveAttempt ? 1 : 0)
      const released = { ...ingest, state: 'received', attempts, problem, postponed: postponedOf(tables, postponed) } as const
      writeIngest(tables, released, { run })
      wake(id)
      return true
    },

    async putBack(id, postponed) {
      const ingest = ingests.get(id)
      if (ingest?.state !== 'running') return false
      const attempts = Math.max(ingest.attempts - 1, 0)
      writeIngest(tables, { ...ingest, state: 'received', attempts, postponed: postponedOf(tables, postponed) }, {})
      const lines = tables.timelines.get(id) ?? []
      const last = lines.findLastIndex(({ step }) => step === 'start')
      tables.timelines.set(id, lines.toSpliced(last, last < 0 ? 0 : 1))
      wake(id)
      return true
    },

    async noteFetched(id, fetched) {
      const ingest = ingests.get(id)
      if (ingest?.state !== 'running' || ingest.source.kind !== 'url') return
      const source = { ...ingest.source, fileName: ingest.source.fileName ?? fetched.fileName }
      writeIngest(tables, { ...ingest, source, fetched: { ...fetched, fileName: source.fileName } }, {})
    },

    async replay(tenantId, ids, failedMs) {
      const known = [...new Set(ids)]
        .toSorted()
        .map((id) => find(tenantId, id))
        .filter((ingest) => ingest !== null)
      return known
        .filter((ingest) => mayBeReplayed(tables, ingest, failedMs))
        .map((ingest) => {
          const { epoch } = ingest
          const anew = { ...ingest, state: 'received', attempts: 0, epoch: epoch + 1, problem: null, finishedAt: null } as const
          const replayed = writeIngest(tables, anew, { own: { step: 'replay', outcome: 'done' } })
          enqueue(tables, replayed, replayed.updatedAt)
          return replayed
        })
    },

    async requeueIdle(idleMs, limit) {
      const queued = new Set(tables.outbox.values().map(({ job }) => job.ingestId))
      const before = now().getTime() - idleMs
      const idle = [...ingests.values()]
        .filter(mayRun)
        .filter(({ id, updatedAt }) => updatedAt.getTime() < before && !queued.has(id))
        .sort((a, b) => Number(a.updatedAt) - Number(b.updatedAt))
        .slice(0, limit)
      for (const ingest of idle) {
        const touched = writeIngest(tables, ingest, { own: { step: 'requeue', outcome: 'done' } })
        enqueue(tables, touched, touched.createdAt, true)
      }
      return idle.map(({ id }) => id)
    },

    settleParked: async (limit) => settleParked(tables, limit),

    async stagedInUse(keys, failedMs) {
      const needed = ingests.values().filter((ingest) => needsBytes(tables, ingest, failedMs))
      const needs = new Set(needed.flatMap(stagedKeysOf))
      return new Set(keys.filter((key) => needs.has(key)))
    },

    async census() {
      const all = [...ingests.values()]
      const count = (state: IngestState) => all.filter((ingest) => ingest.state === state).length
      const states = Object.fromEntries(INGEST_STATES.map((state) => [state, count(state)])) as Record<IngestState, number>
      const openSince = all.filter(mayRun).map(({ createdAt }) => createdAt.getTime())
      const nowMs = now().getTime()
      return { states, oldestOpenMs: nowMs - Math.min(nowMs, ...openSince), outbox: tables.outbox.size }
    },
    // It counts all of them each time.
    tally: async () => {},

    async load(failedMs) {
      const bytesOf = ({ source }: Ingest) => ('bytes' in source ? source.bytes : 0)
      const open = [...ingests.values()].filter((ingest) => needsBytes(tables, ingest, failedMs))
      const amountOf = (those: readonly Ingest[]) => ({
        waiting: those.filter(mayRun).length,
        stagedBytes: those.reduce((sum, ingest) => sum + bytesOf(ingest), 0),
      })
      const byTenant = Map.groupBy(open, ({ tenantId }) => tenantId)
      return { ...amountOf(open), ofTenants: new Map([...byTenant].map(([tenantId, those]) => [tenantId, amountOf(those)])) }
    },
  }
}

function received(tables: Tables, ingest: NewIngest): Ingest {
  const { id, tenantId, source, lane = 'interactive' } = ingest
  const now = tables.now()
  return {
    id,
    tenantId,
    source,
    fetched: null,
    lane,
    ...parked(tables, ingest),
    attempts: 0,
    epoch: 0,
    postponed: null,
    result: null,
    problem: null,
    createdAt: now,
    updatedAt: now,
    finishedAt: null,
  }
}

function postponedOf({ now }: Tables, delay: Delay | undefined): Ingest['postponed'] {
  return delay ? { because: delay.because, until: new Date(now().getTime() + delay.waitMs) } : null
}

function mayRun({ state }: Ingest): boolean {
  return state === 'received' || state === 'running'
}

function mayBeReplayed(tables: Tables, ingest: Ingest, failedMs: number): boolean {
  const { state, source, problem } = ingest
  if (state !== 'failed' || problem?.details?.['superseded_by'] !== undefined) return false
  return source.kind === 'url' || source.kind === 'file' || needsBytes(tables, ingest, failedMs)
}

function needsBytes({ now }: Tables, { state, finishedAt }: Ingest, failedMs: number): boolean {
  if (state === 'committed' || state === 'rejected') return false
  return finishedAt === null || now().getTime() - finishedAt.getTime() < failedMs
}
