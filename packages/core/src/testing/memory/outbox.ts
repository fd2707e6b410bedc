import type { Outbox } from '../../ports.ts'
import type { Tables } from './tables.ts'

export function memoryOutbox({ outbox, now }: Tables): Outbox {
  return {
    async claim(limit, leaseMs) {
      const nowMs = now().getTime()
      const free = [...outbox].filter(([, { claimedUntilMs }]) => claimedUntilMs < nowMs).slice(0, limit)
      for (const [id, { job }] of free) outbox.set(id, { job, claimedUntilMs: nowMs + leaseMs })
      return free.map(([id, { job }]) => ({ id, job }))
    },
    async remove(ids) {
      for (const id of ids) outbox.delete(id)
    },
  }
}
