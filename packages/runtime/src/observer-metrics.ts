import type { Ingests, Observed } from '@sluice/core'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

/** Labels have few values by construction: never an id, a tenant or a file name. */
export function createMetrics(): { metrics: Registry; count: (event: Observed) => void } {
  const metrics = new Registry()
  collectDefaultMetrics({ register: metrics })
  const counters = createCounters(metrics)
  const durations = createDurations(metrics)
  return { metrics, count: (event) => count(event, counters, durations) }
}

function createCounters(metrics: Registry) {
  const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter({ name: `sluice_${name}_total`, help, labelNames, registers: [metrics] })
  return {
    accepted: counter('ingests_accepted', 'Ingests promised.'),
    acceptedBytes: counter('ingest_accepted_bytes', 'Bytes of promised ingests.'),
    ended: counter('ingests_ended', 'Ingests that are over, by their state and the code of their problem.', 'state', 'code'),
    shed: counter('intake_shed', 'Requests turned away because there was too much, by the limit that was reached.', 'bound'),
    postponed: counter('ingests_postponed', 'Attempts that will be repeated.'),
    requeued: counter('ingests_requeued', 'Idle ingests that were queued again.'),
    replayed: counter('ingests_replayed', 'Failed ingests that somebody had tried again.'),
    unparked: counter('ingests_unparked', 'Parked ingests that upkeep found with their product there.'),
    expired: counter('ingests_expired', 'Parked ingests whose product did not come in time.'),
    relayed: counter('outbox_relayed', 'Jobs taken from the outbox to the queue.'),
    swept: counter('staging_swept', 'Staged objects removed that nothing needed.'),
    hooksReceived: counter('hook_events_received', 'Events acknowledged, and whether they were known before.', 'known'),
    hooksEnded: counter('hook_events_ended', 'Events processed, by what became of them.', 'state'),
    webhooksSent: counter('webhook_attempts', 'Attempts to deliver an event, by what became of the delivery.', 'state'),
    webhooksDisabled: counter('webhooks_disabled', 'Endpoints that were given up.', 'because'),
    failures: counter('background_failures', 'Turns of a background task that failed.', 'task'),
    limited: counter('requests_limited', 'Requests of tokens that have sent more than they may.', 'because'),
  }
}

function createDurations(metrics: Registry) {
  return {
    ingest: new Histogram({
      name: 'sluice_ingest_duration_seconds',
      help: 'From the promise to the end.',
      labelNames: ['state'],
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800],
      registers: [metrics],
    }),
    step: new Histogram({
      name: 'sluice_step_duration_seconds',
      help: 'One step of the pipeline.',
      labelNames: ['step', 'outcome'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers: [metrics],
    }),
  }
}

type Counters = ReturnType<typeof createCounters>
type Durations = ReturnType<typeof createDurations>

function count(event: Observed, counters: Counters, durations: Durations): void {
  switch (event.kind) {
    case 'ingest.accepted':
      counters.accepted.inc()
      return counters.acceptedBytes.inc(event.bytes)
    case 'ingest.step_ended':
      return durations.step.observe({ step: event.step, outcome: event.outcome }, event.durationMs / 1000)
    case 'ingest.ended':
      counters.ended.inc({ state: event.state, code: event.code ?? 'none' })
      return durations.ingest.observe({ state: event.state }, event.totalMs / 1000)
    case 'intake.shed':
      return counters.shed.inc({ bound: event.bound })
    case 'ingest.postponed':
      return counters.postponed.inc()
    case 'ingest.requeued':
      return counters.requeued.inc(event.ingestIds.length)
    case 'ingest.replayed':
      return counters.replayed.inc(event.ingestIds.length)
    case 'ingest.unparked':
      return counters.unparked.inc(event.ingestIds.length)
    case 'ingest.expired':
      return counters.expired.inc(event.ingestIds.length)
    case 'outbox.relayed':
      return counters.relayed.inc(event.count)
    case 'staging.swept':
      return counters.swept.inc(event.count)
    case 'hook.received':
      return counters.hooksReceived.inc({ known: String(!event.isNew) })
    case 'hook.ended':
      return counters.hooksEnded.inc({ state: event.state })
    case 'webhook.sent':
      return counters.webhooksSent.inc({ state: event.state })
    case 'webhook.disabled':
      return counters.webhooksDisabled.inc({ because: event.because })
    case 'request.limited':
      return counters.limited.inc({ because: event.because })
    case 'background.failed':
      return counters.failures.inc({ task: event.task })
  }
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
