import type { Observed, Observer } from '@sluice/core'
import type { DestinationStream, Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { LogLevel } from './config-variables.ts'
import { createLogger } from './observer-log.ts'
import { createMetrics } from './observer-metrics.ts'

export interface Observability {
  readonly logger: Logger
  readonly metrics: Registry
  readonly observer: Observer
}

/** Where what happens becomes lines for people and numbers for machines. Standard output, unless there is a destination. */
export function createObserver(options: { level: LogLevel; destination?: DestinationStream }): Observability {
  const logger = createLogger(options.level, options.destination)
  const { metrics, count } = createMetrics()
  const observe = (event: Observed) => {
    const { kind, ...facts } = event
    logger[severityOf(event)](facts, kind)
    count(event)
  }
  return { logger, metrics, observer: { observe } }
}

/** `info` tells each ingest twice, when it comes and when it is over; `warn` is what somebody may want to look at. */
const SEVERITIES = {
  'ingest.accepted': 'info',
  'ingest.step_ended': 'debug',
  'ingest.ended': 'info',
  'intake.shed': 'debug',
  'ingest.postponed': 'warn',
  'outbox.relayed': 'debug',
  'ingest.requeued': 'warn',
  'ingest.replayed': 'info',
  'ingest.unparked': 'info',
  'ingest.expired': 'info',
  'staging.swept': 'info',
  'hook.received': 'debug',
  'hook.ended': 'info',
  'webhook.sent': 'debug',
  'webhook.disabled': 'warn',
  'background.failed': 'error',
  'request.limited': 'debug',
} as const satisfies Record<Observed['kind'], string>

function severityOf(event: Observed): 'debug' | 'info' | 'warn' | 'error' {
  return event.kind === 'ingest.ended' && event.state === 'failed' ? 'error' : SEVERITIES[event.kind]
}
