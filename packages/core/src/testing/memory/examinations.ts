import { type Examinations, FINDING_KINDS, type Tally } from '../../examination.ts'
import type { Tables } from './tables.ts'

export function memoryExaminations({ ingests, outbox, removals, now }: Tables): Examinations {
  let last: Awaited<ReturnType<Examinations['last']>> = null
  return {
    async waiters(idleMs, limit) {
      const nowMs = now().getTime()
      const all = [...ingests.values()]
      const queued = new Set(outbox.values().map(({ job }) => job.ingestId))
      const stuck = all
        .filter(({ state }) => state === 'received' || state === 'running')
        .filter(({ id, updatedAt }) => updatedAt.getTime() < nowMs - idleMs.ingest && !queued.has(id))
        .sort((a, b) => Number(a.updatedAt) - Number(b.updatedAt))
      const isOverdue = (until: Date | undefined) => until !== undefined && until.getTime() < nowMs - idleMs.parked
      const isLeft = (begunAtMs: number | null) => begunAtMs !== null && begunAtMs < nowMs - idleMs.removal
      return {
        stuck: stuck.length,
        examples: stuck.slice(0, limit),
        overdue: all.filter(({ state, parking }) => state === 'parked' && isOverdue(parking?.until)).length,
        outbox: outbox.size,
        outboxOldestMs: nowMs - Math.min(nowMs, ...outbox.values().map(({ sinceMs }) => sinceMs)),
        unfinished: [...removals.values()].filter(({ begunAtMs }) => isLeft(begunAtMs)).length,
      }
    },
    async record(found, mended) {
      const before = last?.mended
      const sums = FINDING_KINDS.map((kind) => [kind, (before?.[kind] ?? 0) + mended[kind]])
      last = { at: now(), found, mended: Object.fromEntries(sums) as Tally }
    },
    last: async () => last,
  }
}
