import { SluiceError } from '../../errors.ts'
import type { TenantId, WebhookId } from '../../ids.ts'
import {
  ATTEMPTS_KEPT,
  type Breaker,
  type DeliveryEnd,
  type DeliveryFilter,
  TEST_EVENT,
  type Webhook,
  type WebhookDelivery,
  type Webhooks,
} from '../../webhook.ts'
import { newId } from '../builders.ts'
import { addDelivery } from './events.ts'
import { DELIVERY, type DeliveryRow, type Tables } from './tables.ts'

const CLOSED_CIRCUIT = { failures: 0, failingSince: null, pausedUntil: null }

export function memoryWebhooks(tables: Tables): Webhooks {
  return { ...memoryEndpoints(tables), ...memoryDeliveries(tables), ...memoryLog(tables) }
}

function own({ webhooks }: Tables, tenantId: TenantId, id: WebhookId): Webhook | null {
  const webhook = webhooks.get(id)
  return webhook?.tenantId === tenantId ? webhook : null
}

function known(tables: Tables, tenantId: TenantId, id: WebhookId): Webhook {
  const webhook = own(tables, tenantId, id)
  if (!webhook) throw new SluiceError('webhook_unknown')
  return webhook
}

function memoryEndpoints(tables: Tables): Pick<Webhooks, 'create' | 'find' | 'list' | 'update' | 'rotate' | 'remove'> {
  const { webhooks, deliveries, now } = tables
  const write = (webhook: Webhook) => {
    const written = { ...webhook, updatedAt: now() }
    webhooks.set(webhook.id, written)
    return written
  }
  const listed = (tenantId: TenantId) => [...webhooks.values()].filter((webhook) => webhook.tenantId === tenantId)
  return {
    async create({ salt, ...webhook }, max) {
      const there = own(tables, webhook.tenantId, webhook.id)
      if (there) return there
      if (listed(webhook.tenantId).length >= max) throw new SluiceError('webhooks_exceeded')
      const times = { createdAt: now(), updatedAt: now() }
      return write({ ...webhook, ...times, ...CLOSED_CIRCUIT, disabledBecause: null, salts: [{ salt, until: null }] })
    },
    find: async (tenantId, id) => own(tables, tenantId, id),
    list: async (tenantId) => listed(tenantId).toReversed(),
    async update(tenantId, id, change) {
      const isAnew = change.url !== undefined || change.enabled === true
      return write({
        ...known(tables, tenantId, id),
        ...change,
        ...(isAnew && CLOSED_CIRCUIT),
        ...(change.enabled !== undefined && { disabledBecause: null }),
      })
    },
    async rotate(tenantId, id, salt, keepMs, max) {
      const webhook = known(tables, tenantId, id)
      const ends = new Date(now().getTime() + keepMs)
      const kept = webhook.salts.map((old) => ({ salt: old.salt, until: old.until ?? ends })).filter(({ until }) => until > now())
      if (kept.length >= max) throw new SluiceError('webhook_rotations_exceeded')
      return write({ ...webhook, salts: [{ salt, until: null }, ...kept] })
    },
    async remove(tenantId, id) {
      if (!own(tables, tenantId, id)) return false
      for (const { delivery } of deliveries.values()) if (delivery.webhookId === id) deliveries.delete(delivery.id)
      return webhooks.delete(id)
    },
  }
}

function memoryDeliveries({ webhooks, deliveries, now, wake }: Tables): Pick<Webhooks, 'claim' | 'finish' | 'release'> {
  const later = (ms: number) => new Date(now().getTime() + ms)
  const isUnderWay = ({ delivery, isUnderWay }: DeliveryRow) => isUnderWay && delivery.dueAt > now()
  const isEarlier = (row: DeliveryRow, other: DeliveryRow) =>
    other.delivery.webhookId === row.delivery.webhookId &&
    other.subject === row.subject &&
    other.delivery.state === 'pending' &&
    [...deliveries.values()].indexOf(other) < [...deliveries.values()].indexOf(row)
  const isDue = (row: DeliveryRow) =>
    row.delivery.state === 'pending' &&
    row.delivery.dueAt <= now() &&
    ![...deliveries.values()].some((other) => isEarlier(row, other))
  /** The one that an attempt of this number is of. */
  const current = ({ id, attempts }: WebhookDelivery) => {
    const row = deliveries.get(id)
    return row?.isUnderWay && row.delivery.attempts === attempts ? row : null
  }

  return {
    async claim(limit, each, leaseMs) {
      const open = [...webhooks.values()].filter(({ enabled, pausedUntil }) => enabled && (!pausedUntil || pausedUntil <= now()))
      const turns = open.flatMap(({ id, failures }) => {
        const rows = [...deliveries.values()].filter(({ delivery }) => delivery.webhookId === id)
        const places = (failures === 0 ? each : 1) - rows.filter(isUnderWay).length
        const due = rows.filter(isDue).sort((a, b) => Number(a.delivery.dueAt) - Number(b.delivery.dueAt))
        return due.slice(0, Math.max(0, places)).map((row, turn) => ({ row, turn }))
      })
      const chosen = turns.sort((a, b) => a.turn - b.turn).slice(0, limit)
      return chosen.flatMap(({ row }) => {
        const delivery = { ...row.delivery, attempts: row.delivery.attempts + 1, dueAt: later(leaseMs) }
        deliveries.set(delivery.id, { ...row, delivery, isUnderWay: true })
        const webhook = webhooks.get(delivery.webhookId)
        return webhook ? [{ webhook, delivery }] : []
      })
    },
    async finish(claimed, { state, waitMs, attempt, isGone, pauseMs }, breaker) {
      const row = current(claimed)
      const webhook = webhooks.get(claimed.webhookId)
      if (!row || !webhook) return false
      const log = [...claimed.log, attempt].slice(-ATTEMPTS_KEPT)
      const finishedAt = state === 'pending' ? null : now()
      deliveries.set(claimed.id, {
        ...row,
        delivery: { ...row.delivery, state, log, dueAt: later(waitMs), finishedAt },
        isUnderWay: false,
      })
      wake(DELIVERY)
      const next = state === 'delivered' ? { ...webhook, ...CLOSED_CIRCUIT } : broken(webhook, isGone, pauseMs, breaker, now())
      webhooks.set(webhook.id, next)
      return !next.enabled && state !== 'delivered'
    },
    async release(claimed) {
      const row = current(claimed)
      if (!row) return
      const delivery = { ...row.delivery, attempts: row.delivery.attempts - 1, dueAt: now() }
      deliveries.set(claimed.id, { ...row, delivery, isUnderWay: false })
      wake(DELIVERY)
    },
  }
}

function broken(
  webhook: Webhook,
  isGone: DeliveryEnd['isGone'],
  pauseMs: number,
  { failuresMax, pauseMsMin, pauseMsMax, failingMsMax }: Breaker,
  now: Date,
): Webhook {
  const failures = webhook.failures + 1
  const circuitMs = failures < failuresMax ? 0 : Math.min(pauseMsMin * 2 ** (failures - failuresMax), pauseMsMax)
  const pausedUntil = new Date(Math.max(Number(webhook.pausedUntil), now.getTime() + Math.max(circuitMs, pauseMs)))
  const isFailing = webhook.failingSince !== null && webhook.failingSince.getTime() < now.getTime() - failingMsMax
  const because = isGone ? 'gone' : isFailing ? 'failing' : null
  return {
    ...webhook,
    failures,
    pausedUntil,
    failingSince: webhook.failingSince ?? now,
    enabled: webhook.enabled && because === null,
    disabledBecause: webhook.enabled ? because : webhook.disabledBecause,
  }
}

type Log = Pick<Webhooks, 'test' | 'findDelivery' | 'listDeliveries' | 'redeliver' | 'redeliverRange' | 'forget'>

function memoryLog(tables: Tables): Log {
  const { deliveries, now } = tables
  const of = (tenantId: TenantId, id: WebhookId) =>
    [...deliveries.values()].filter(({ delivery }) => delivery.tenantId === tenantId && delivery.webhookId === id)
  const pendingLike = ({ delivery: { webhookId, eventId } }: DeliveryRow) =>
    [...deliveries.values()].findLast(
      ({ delivery }) => delivery.webhookId === webhookId && delivery.eventId === eventId && delivery.state === 'pending',
    )?.delivery ?? null

  return {
    async test(tenantId, id) {
      known(tables, tenantId, id)
      const body = JSON.stringify({ type: TEST_EVENT, timestamp: now().toISOString(), data: { webhook_id: id } })
      return addDelivery(tables, { tenantId, webhookId: id, eventId: newId(), event: TEST_EVENT, body }, newId())
    },
    findDelivery: async (tenantId, webhookId, id) =>
      of(tenantId, webhookId).find(({ delivery }) => delivery.id === id)?.delivery ?? null,
    async listDeliveries(tenantId, webhookId, filter, { before, limit }) {
      const newest = of(tenantId, webhookId).toReversed()
      const from = before === null ? 0 : newest.findIndex(({ delivery }) => delivery.id === before) + 1
      if (before !== null && from === 0) return []
      const found = newest.slice(from).filter(({ delivery }) => isFound(delivery, filter))
      return found.slice(0, limit).map(({ delivery }) => delivery)
    },
    async redeliver(tenantId, webhookId, id) {
      known(tables, tenantId, webhookId)
      const row = of(tenantId, webhookId).find(({ delivery }) => delivery.id === id)
      if (!row) throw new SluiceError('webhook_delivery_unknown')
      return pendingLike(row) ?? addDelivery(tables, row.delivery, row.subject)
    },
    async redeliverRange(tenantId, webhookId, { from, to, ...filter }, limit) {
      known(tables, tenantId, webhookId)
      const all = of(tenantId, webhookId)
      const last = new Map(all.map(({ delivery }) => [delivery.eventId, delivery.id]))
      const inRange = all
        .filter(({ delivery: { createdAt } }) => createdAt >= from && createdAt < to)
        .filter(({ delivery }) => isFound(delivery, filter) && (!filter.states || last.get(delivery.eventId) === delivery.id))
      const wanted = new Map<string, DeliveryRow>()
      for (const row of inRange) if (!wanted.has(row.delivery.eventId)) wanted.set(row.delivery.eventId, row)
      const again = [...wanted.values()].filter((row) => pendingLike(row) === null).slice(0, limit)
      for (const { delivery, subject } of again) addDelivery(tables, delivery, subject)
      return again.length
    },
    async forget(keptMs, limit) {
      const before = now().getTime() - keptMs
      const old = [...deliveries.values()].filter(({ delivery }) => delivery.createdAt.getTime() < before).slice(0, limit)
      for (const { delivery } of old) deliveries.delete(delivery.id)
      return old.length
    },
  }
}

function isFound({ state, event }: WebhookDelivery, filter: DeliveryFilter): boolean {
  return (!filter.states || filter.states.includes(state)) && (!filter.event || filter.event === event)
}
