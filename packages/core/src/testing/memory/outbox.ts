import type { TenantId } from '../../ids.ts'
import { LANES, type Lane } from '../../ingest.ts'
import { type Outbox, type OutboxEntry, TURNS_SAVED_MAX } from '../../ports.ts'
import type { OutboxRow, Tables } from './tables.ts'

export function memoryOutbox(tables: Tables): Outbox {
  const { outbox, now } = tables
  return {
    async claim(room, leaseMs) {
      const nowMs = now().getTime()
      const chosen = LANES.flatMap((lane) => chooseInTurn(tables, lane, room[lane], nowMs))
      for (const { id, row } of chosen) outbox.set(id, { ...row, claimedUntilMs: nowMs + leaseMs })
      return chosen.map(({ id, row: { job, lane, again } }): OutboxEntry => ({ id, job, lane, again }))
    },
    async remove(ids) {
      for (const id of ids) outbox.delete(id)
    },
  }
}

interface Candidate {
  readonly id: string
  readonly row: OutboxRow
}

/** One after the other: the tenant whose next row starts first is served. */
function chooseInTurn({ outbox, turns, weights }: Tables, lane: Lane, room: number, nowMs: number): Candidate[] {
  const clock = Math.max(0, ...[...turns].filter(([key]) => key.startsWith(`${lane} `)).map(([, { started }]) => started))
  const lines = new Map<TenantId, { start: number; readonly rows: Candidate[] }>()
  for (const [id, row] of outbox) {
    if (row.lane !== lane || row.claimedUntilMs >= nowMs) continue
    const ended = turns.get(`${lane} ${row.tenantId}`)?.ended ?? Number.NEGATIVE_INFINITY
    const line = lines.get(row.tenantId) ?? { start: Math.max(ended, clock - TURNS_SAVED_MAX), rows: [] }
    line.rows.push({ id, row })
    lines.set(row.tenantId, line)
  }
  for (const { rows } of lines.values()) rows.sort((a, b) => a.row.sinceMs - b.row.sinceMs || Number(a.id) - Number(b.id))

  const chosen: Candidate[] = []
  while (chosen.length < room && lines.size > 0) {
    const [first, ...others] = lines.entries()
    if (!first) break
    const [tenantId, line] = others.reduce((best, other) => (isBefore(other, best) ? other : best), first)
    const candidate = line.rows.shift()
    if (candidate) chosen.push(candidate)
    const ended = line.start + 1 / (weights.get(tenantId) ?? 1)
    turns.set(`${lane} ${tenantId}`, { started: line.start, ended })
    line.start = ended
    if (line.rows.length === 0) lines.delete(tenantId)
  }
  return chosen
}

function isBefore([a, { start }]: [TenantId, { start: number }], [b, other]: [TenantId, { start: number }]): boolean {
  return start < other.start || (start === other.start && a < b)
}
