import type { Examinations } from '@sluice/core'
import { Counter, Gauge, type Registry } from 'prom-client'

type Last = Awaited<ReturnType<Examinations['last']>>

/** What the last examination has left in the database, whichever process made it; asked once per scrape. Missing while there was none. */
export function registerExaminations(metrics: Registry, last: () => Promise<Last>): void {
  let asked: Promise<Last> | null = null
  const ask = () => {
    asked ??= last()
      .catch(() => null)
      .finally(() => (asked = null))
    return asked
  }
  const findings = new Gauge({
    name: 'sluice_examination_findings',
    help: 'What the last examination has found and not mended.',
    labelNames: ['kind'],
    registers: [],
    async collect() {
      this.reset()
      for (const [kind, number] of Object.entries((await ask())?.found ?? {})) this.set({ kind }, number)
    },
  })
  const mended = new Counter({
    name: 'sluice_examination_mended_total',
    help: 'What examinations have mended.',
    labelNames: ['kind'],
    registers: [],
    async collect() {
      const sums = Object.entries((await ask())?.mended ?? {})
      this.reset()
      for (const [kind, number] of sums) this.inc({ kind }, number)
    },
  })
  const at = new Gauge({
    name: 'sluice_examination_timestamp_seconds',
    help: 'When the last examination ended.',
    registers: [],
    async collect() {
      const time = (await ask())?.at.getTime()
      this.set(time === undefined ? Number.NaN : time / 1000)
    },
  })
  for (const metric of [findings, mended, at]) metrics.registerMetric(metric)
}
