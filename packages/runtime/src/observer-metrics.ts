import type { Ingests, Observed } from '@sluice/core'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

/** Labels have few values by construction: never an id, a tenant or a file name. */
export function createMetrics(): { metrics: Registry; count: (event: Observed) => void } {
  const metrics = new Registry()
  collectDefaultMetrics({ register: metrics })
  const registers = [metrics]
  const accepted = new Counter({ name: 'sluice_ingests_accepted_total', help: 'Ingests promised.', registers })
  const acceptedBytes = new Counter({ name: 'sluice_ingest_accepted_bytes_total', help: 'Bytes of promised ingests.', registers })
  const ended = new Counter({
    name: 'sluice_ingests_ended_total',
    help: 'Ingests that are over, by their state and the code of their problem.',
    labelNames: ['state', 'code'],
    registers,
  })
  const duration = new Histogram({
    name: 'sluice_ingest_duration_seconds',
    help: 'From the promise to the end.',
    labelNames: ['state'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800],
    registers,
  })
  const step = new Histogram({
    name: 'sluice_step_duration_seconds',
    help: 'One step of the pipeline.',
    labelNames: ['step', 'outcome'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  })
  const postponed = new Counter({ name: 'sluice_ingests_postponed_total', help: 'Attempts that will be repeated.', registers })
  const requeued = new Counter({ name: 'sluice_ingests_requeued_total', help: 'Idle ingests that were queued again.', registers })
  const relayed = new Counter({
    name: 'sluice_outbox_relayed_total',
    help: 'Jobs taken from the outbox to the queue.',
    registers,
  })
  const swept = new Counter({
    name: 'sluice_staging_swept_total',
    help: 'Staged objects removed that nothing needed.',
    registers,
  })
  const failures = new Counter({
    name: 'sluice_background_failures_total',
    help: 'Turns of a background task that failed.',
    labelNames: ['task'],
    registers,
  })

  function count(event: Observed): void {
    switch (event.kind) {
      case 'ingest.accepted':
        accepted.inc()
        return acceptedBytes.inc(event.bytes)
      case 'ingest.step_ended':
        return step.observe({ step: event.step, outcome: event.outcome }, event.durationMs / 1000)
      case 'ingest.ended':
        ended.inc({ state: event.state, code: event.code ?? 'none' })
        return duration.observe({ state: event.state }, event.totalMs / 1000)
      case 'ingest.postponed':
        return postponed.inc()
      case 'ingest.requeued':
        return requeued.inc(event.ingestIds.length)
      case 'outbox.relayed':
        return relayed.inc(event.count)
      case 'staging.swept':
        return swept.inc(event.count)
      case 'background.failed':
        return failures.inc({ task: event.task })
    }
  }

  return { metrics, count }
}

type Census = Awaited<ReturnType<Ingests['census']>>

/** What waits, asked of the database once per scrape. NaN while it does not answer: 0 would look like an empty queue. */
export function registerCensus(metrics: Registry, census: () => Promise<Census>): void {
  let asked: Promise<Census | null> | null = null
  const ask = () => {
    // The gauges of one scrape are collected in the same turn and share the answer.
    asked ??= census()
      .catch(() => null)
      .finally(() => (asked = null))
    return asked
  }
  const gauges = [
    new Gauge({
      name: 'sluice_ingests',
      help: 'Ingests by state.',
      labelNames: ['state'],
      registers: [],
      async collect() {
        const now = await ask()
        if (now === null) return this.reset()
        for (const [state, number] of Object.entries(now.states)) this.set({ state }, number)
      },
    }),
    new Gauge({
      name: 'sluice_ingest_oldest_open_seconds',
      help: 'Age of the oldest ingest that is not over.',
      registers: [],
      async collect() {
        this.set(((await ask())?.oldestOpenMs ?? Number.NaN) / 1000)
      },
    }),
    new Gauge({
      name: 'sluice_outbox_entries',
      help: 'Jobs that wait for the relay.',
      registers: [],
      async collect() {
        this.set((await ask())?.outbox ?? Number.NaN)
      },
    }),
  ]
  for (const gauge of gauges) metrics.registerMetric(gauge)
}
