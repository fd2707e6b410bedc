import { randomUUID } from 'node:crypto'
import { PassThrough } from 'node:stream'
import type { HookEventId, HookSourceId, IngestId, Observed, TokenId, WebhookDeliveryId, WebhookId } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { registerCensus } from './observer-metrics.ts'
import { createObserver } from './observer.ts'

const ingestId = randomUUID() as IngestId

/** One event of each kind: the type makes a new kind appear here. */
const EVENTS: { readonly [kind in Observed['kind']]: Extract<Observed, { kind: kind }> } = {
  'ingest.accepted': { kind: 'ingest.accepted', ingestId, bytes: 1000 },
  'ingest.step_ended': { kind: 'ingest.step_ended', ingestId, step: 'validate', outcome: 'done', durationMs: 20 },
  'ingest.ended': { kind: 'ingest.ended', ingestId, state: 'rejected', code: 'image_corrupt', totalMs: 200 },
  'intake.shed': { kind: 'intake.shed', bound: 'ingestsWaitingMax' },
  'ingest.postponed': { kind: 'ingest.postponed', ingestId, waitMs: 500, cause: new Error('connection lost') },
  'outbox.relayed': { kind: 'outbox.relayed', count: 3 },
  'ingest.requeued': { kind: 'ingest.requeued', ingestIds: [ingestId, ingestId] },
  'ingest.replayed': { kind: 'ingest.replayed', ingestIds: [ingestId, ingestId] },
  'ingest.unparked': { kind: 'ingest.unparked', ingestIds: [ingestId] },
  'ingest.expired': { kind: 'ingest.expired', ingestIds: [ingestId, ingestId, ingestId] },
  'staging.swept': { kind: 'staging.swept', count: 4 },
  'background.failed': { kind: 'background.failed', task: 'relay', cause: new Error('no connection') },
  'hook.received': { kind: 'hook.received', sourceId: randomUUID() as HookSourceId, isNew: true },
  'hook.ended': { kind: 'hook.ended', eventId: randomUUID() as HookEventId, state: 'processed', ingests: 2 },
  'webhook.sent': {
    kind: 'webhook.sent',
    webhookId: randomUUID() as WebhookId,
    deliveryId: randomUUID() as WebhookDeliveryId,
    state: 'delivered',
    status: 204,
  },
  'request.limited': { kind: 'request.limited', tokenId: randomUUID() as TokenId, because: 'rate' },
  'webhook.disabled': { kind: 'webhook.disabled', webhookId: randomUUID() as WebhookId, because: 'gone' },
}

function open(level: 'trace' | 'info' = 'trace') {
  const destination = new PassThrough().setEncoding('utf8')
  const lines = (): Record<string, unknown>[] => {
    const text: unknown = destination.read()
    return typeof text === 'string'
      ? text
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
      : []
  }
  return { ...createObserver({ level, destination }), lines }
}

describe('createObserver', () => {
  it('writes one line of JSON for each event, with its kind and its facts', () => {
    const { observer, lines } = open()
    for (const event of Object.values(EVENTS)) observer.observe(event)
    const written = lines()
    expect(written.map((line) => line['msg'])).toEqual(Object.keys(EVENTS))
    expect(written[2]).toMatchObject({ level: 'info', ingestId, state: 'rejected', code: 'image_corrupt', totalMs: 200 })
    const failure = written.find(({ msg }) => msg === 'background.failed')
    expect(failure).toMatchObject({ level: 'error', task: 'relay', cause: { type: 'Error', message: 'no connection' } })
  })

  it('keeps steps out of the log at the level info', () => {
    const { observer, lines } = open('info')
    observer.observe(EVENTS['ingest.step_ended'])
    expect(lines()).toEqual([])
  })

  it('counts each event', async () => {
    const { observer, metrics } = open()
    for (const event of Object.values(EVENTS)) observer.observe(event)
    const scraped = await metrics.metrics()
    for (const line of [
      'sluice_ingests_accepted_total 1',
      'sluice_ingest_accepted_bytes_total 1000',
      'sluice_ingests_ended_total{state="rejected",code="image_corrupt"} 1',
      'sluice_ingest_duration_seconds_sum{state="rejected"} 0.2',
      'sluice_step_duration_seconds_count{step="validate",outcome="done"} 1',
      'sluice_ingests_postponed_total 1',
      'sluice_ingests_requeued_total 2',
      'sluice_ingests_replayed_total 2',
      'sluice_ingests_unparked_total 1',
      'sluice_ingests_expired_total 3',
      'sluice_outbox_relayed_total 3',
      'sluice_staging_swept_total 4',
      'sluice_background_failures_total{task="relay"} 1',
    ]) {
      expect(scraped).toContain(`${line}\n`)
    }
    expect(scraped).toContain('nodejs_eventloop_lag_seconds')
    expect(scraped).not.toContain(ingestId)
  })

  it('never logs a secret, wherever it stands', () => {
    const { logger, lines } = open()
    const canary = 'canary-5d1c'
    logger.info({ token: canary, req: { headers: { authorization: canary, cookie: canary, 'set-cookie': canary } } }, 'asked')
    logger.info({ config: { password: canary, secretKey: canary } }, 'started')
    const query = new Error(`Failed query: insert into products values ($1)\nparams: ${canary}`)
    logger.error({ err: Object.assign(new Error('write failed', { cause: query }), { params: [canary] }) }, 'failed')
    const written = lines()
    expect(JSON.stringify(written)).not.toContain(canary)
    expect(written[2]).toMatchObject({
      err: { message: 'write failed', cause: { message: expect.stringContaining('Failed query') } },
    })
  })

  it('follows a chain of causes no further than it is worth', () => {
    const { logger, lines } = open()
    const circular = new Error('round')
    circular.cause = circular
    logger.error({ cause: circular }, 'failed')
    expect(lines()).toHaveLength(1)
  })
})

describe('registerCensus', () => {
  const states = { received: 2, parked: 0, running: 1, committed: 7, rejected: 0, failed: 0 }

  it('asks once per scrape and shows what waits', async () => {
    const { metrics } = open()
    let asked = 0
    registerCensus(metrics, async () => ({ states, oldestOpenMs: 1500, outbox: ++asked }))
    expect(await metrics.metrics()).toContain('sluice_outbox_entries 1\n')
    const scraped = await metrics.metrics()
    expect(scraped).toContain('sluice_ingests{state="committed"} 7\n')
    expect(scraped).toContain('sluice_ingest_oldest_open_seconds 1.5\n')
    expect(scraped).toContain('sluice_outbox_entries 2\n')
  })

  it('shows no number while the database does not answer', async () => {
    const { metrics } = open()
    let isDown = false
    registerCensus(metrics, async () => {
      if (isDown) throw new Error('down')
      return { states, oldestOpenMs: 0, outbox: 0 }
    })
    await metrics.metrics()
    isDown = true
    const scraped = await metrics.metrics()
    expect(scraped).toMatch(/sluice_outbox_entries Nan\n/i)
    expect(scraped).not.toContain('sluice_ingests{state=')
  })
})
