import { SluiceError } from '../../errors.ts'
import type { IngestId, TenantId } from '../../ids.ts'
import { INGEST_STATES, type Ingest, isTerminal, type IngestState } from '../../ingest.ts'
import type { Ingests, NewIngest } from '../../ports.ts'
import { holdNewAnswer, memoryAnswers } from './answers.ts'
import { commitIngest } from './commit.ts'
import { bindKey } from './idempotency.ts'
import { listIngests } from './ingest-list.ts'
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
      const accepted = writeIngest(tables, received(ingest, now()), { own: { step: 'accept', outcome: 'done' } })
      tables.askers.set(ingest.id, ingest.tokenId)
      holdNewAnswer(tables, ingest)
      enqueue(tables, accepted)
      return accepted
    },

    async start(id, epoch) {
      const ingest = ingests.get(id)
      if (!ingest || ingest.epoch !== epoch || isTerminal(ingest.state)) return null
      const running = { ...ingest, state: 'running', attempts: ingest.attempts + 1 } as const
      const started = writeIngest(tables, running, { own: { step: 'start', outcome: 'done' } })
      wake(id)
      return started
    },

    async end(id, state, problem, run) {
      const ingest = ingests.get(id)
      if (!ingest || isTerminal(ingest.state)) return false
      writeIngest(tables, { ...ingest, state, problem, finishedAt: now() }, { run, own: { step: 'finish', outcome: state } })
      wake(id)
      return true
    },

    async release(id, { forgiveAttempt, problem, timeline: run }) {
      const ingest = ingests.get(id)
      if (ingest?.state !== 'running') return false
      const attempts = ingest.attempts - (forgiveAttempt ? 1 : 0)
      writeIngest(tables, { ...ingest, state: 'received', attempts, problem }, { run })
      wake(id)
      return true
    },

    async replay(tenantId, id) {
      const ingest = find(tenantId, id)
      if (!ingest) throw new SluiceError('ingest_unknown')
      if (ingest.state !== 'failed') throw new SluiceError('ingest_not_replayable')
      const { epoch } = ingest
      const anew = { ...ingest, state: 'received', attempts: 0, epoch: epoch + 1, problem: null, finishedAt: null } as const
      const replayed = writeIngest(tables, anew, { own: { step: 'replay', outcome: 'done' } })
      enqueue(tables, replayed)
      return replayed
    },

    async requeueIdle(idleMs, limit) {
      const queued = new Set(tables.outbox.values().map(({ job }) => job.ingestId))
      const before = now().getTime() - idleMs
      const idle = [...ingests.values()]
        .filter(({ state }) => state === 'received' || state === 'running')
        .filter(({ id, updatedAt }) => updatedAt.getTime() < before && !queued.has(id))
        .sort((a, b) => Number(a.updatedAt) - Number(b.updatedAt))
        .slice(0, limit)
      for (const ingest of idle) {
        const anew = { ...ingest, epoch: ingest.epoch + 1 }
        enqueue(tables, writeIngest(tables, anew, { own: { step: 'requeue', outcome: 'done' } }))
      }
      return idle.map(({ id }) => id)
    },

    async stagedInUse(keys) {
      const needed = ingests.values().filter(({ state }) => state !== 'committed' && state !== 'rejected')
      const needs = new Set(needed.map(({ source }) => (source.kind === 'staged' ? source.key : '')))
      return new Set(keys.filter((key) => needs.has(key)))
    },

    async census() {
      const all = [...ingests.values()]
      const count = (state: IngestState) => all.filter((ingest) => ingest.state === state).length
      const states = Object.fromEntries(INGEST_STATES.map((state) => [state, count(state)])) as Record<IngestState, number>
      const openSince = all.filter(({ state }) => !isTerminal(state)).map(({ createdAt }) => createdAt.getTime())
      return { states, oldestOpenMs: now().getTime() - Math.min(now().getTime(), ...openSince), outbox: tables.outbox.size }
    },
  }
}

function received({ id, tenantId, source, target }: NewIngest, now: Date): Ingest {
  return {
    id,
    tenantId,
    source,
    target,
    state: 'received',
    attempts: 0,
    epoch: 0,
    result: null,
    problem: null,
    createdAt: now,
    updatedAt: now,
    finishedAt: null,
  }
}
