import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import {
  DELIVERY_STATES,
  isUuid,
  SluiceError,
  TEST_EVENT,
  type WebhookDelivery,
  WEBHOOK_EVENTS,
  type WebhookDeliveryId,
} from '@sluice/core'
import { Type, type Static } from 'typebox'
import type { NativeOptions } from './index.ts'
import { instant } from './ingest-filter.ts'
import { nextPage } from './ingests.ts'
import * as schemas from './schemas.ts'
import { Delivery, deliveryPath, DeliveryPage, deliveryView } from './webhook-schemas.ts'
import { webhookOf, WebhookParams, type WebhookRequest } from './webhooks.ts'

const DeliveryParams = Type.Object({
  ...WebhookParams.properties,
  delivery: Type.String({ description: 'The id of the delivery' }),
})

const states = Type.Optional(Type.Array(Type.Enum([...DELIVERY_STATES])))
const type = Type.Optional(Type.Enum([...WEBHOOK_EVENTS, TEST_EVENT]))

/** What was said to an endpoint, and what it answered. */
export async function webhookDeliveryRoutes(app: FastifyInstance, { world }: NativeOptions): Promise<void> {
  const { database, limits, now } = world
  const { webhooks } = database
  const tags = ['Webhooks out']
  const Query = Type.Object(
    {
      state: states,
      type,
      before: Type.Optional(Type.String({ format: 'uuid', description: 'The last id of the page before.' })),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.pageItemsMax, default: 50 })),
    },
    { additionalProperties: false },
  )
  const Range = Type.Object(
    {
      from: Type.Optional(Type.String({ format: 'date-time', description: 'Default: the oldest that is kept.' })),
      to: Type.Optional(Type.String({ format: 'date-time', description: 'Default: now.' })),
      state: states,
      type,
    },
    { additionalProperties: false },
  )

  const accepted = (reply: FastifyReply, delivery: WebhookDelivery) =>
    reply.code(202).header('location', deliveryPath(delivery)).send(deliveryView(delivery))

  app.get<{ Params: Static<typeof WebhookParams>; Querystring: Static<typeof Query> }>(
    '/webhooks/:webhook/deliveries',
    {
      config: { access: 'reader' },
      schema: {
        tags,
        summary: 'List deliveries, newest first',
        params: WebhookParams,
        querystring: Query,
        response: { 200: DeliveryPage, ...schemas.problems(400, 404) },
      },
    },
    async (request) => {
      const { tenantId, id } = webhookOf(request)
      if (!(await webhooks.find(tenantId, id))) throw new SluiceError('webhook_unknown')
      const { state, type, before = null, limit = 50 } = request.query
      const filter = { ...(state && { states: state }), ...(type && { event: type }) }
      const page = { before: before as WebhookDeliveryId | null, limit: limit + 1 }
      const found = await webhooks.listDeliveries(tenantId, id, filter, page)
      const items = found.slice(0, limit)
      const last = items.at(-1)
      return { items: items.map(deliveryView), next: found.length > limit && last ? nextPage(request.url, last.id) : null }
    },
  )

  app.get<{ Params: Static<typeof DeliveryParams> }>(
    '/webhooks/:webhook/deliveries/:delivery',
    {
      config: { access: 'reader' },
      schema: {
        tags,
        summary: 'Read a delivery',
        params: DeliveryParams,
        response: { 200: Delivery, ...schemas.problems(404) },
      },
    },
    async (request) => {
      const { tenantId, id } = webhookOf(request)
      const delivery = await webhooks.findDelivery(tenantId, id, deliveryId(request))
      if (!delivery) throw new SluiceError('webhook_delivery_unknown')
      return deliveryView(delivery)
    },
  )

  app.post<{ Params: Static<typeof DeliveryParams> }>(
    '/webhooks/:webhook/deliveries/:delivery/redeliver',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Send an event again',
        description: 'As a new delivery under the same `webhook-id`. While one is pending, that is the answer.',
        params: DeliveryParams,
        response: { 202: Delivery, ...schemas.problems(400, 404, 413, 415) },
      },
    },
    async (request, reply) => {
      const { tenantId, id } = webhookOf(request)
      return accepted(reply, await webhooks.redeliver(tenantId, id, deliveryId(request)))
    },
  )

  app.post<{ Params: Static<typeof WebhookParams>; Body: Static<typeof Range> }>(
    '/webhooks/:webhook/redeliver',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Send the events of a time again',
        description: `Each once and oldest first, ${limits.webhookRedeliverMax} at most; those that are pending are on their way already. The state is that of an event's last delivery: what failed and has arrived since is not sent again with what failed.`,
        params: WebhookParams,
        body: Range,
        response: { 202: Type.Object({ deliveries: Type.Integer() }), ...schemas.problems(400, 404, 413, 415) },
      },
    },
    async (request, reply) => {
      const { tenantId, id } = webhookOf(request)
      const { from, to, state, type } = request.body
      const range = {
        from: from === undefined ? new Date(0) : instant('from', from),
        to: to === undefined ? new Date(now().getTime() + TOMORROW_MS) : instant('to', to),
        ...(state && { states: state }),
        ...(type && { event: type }),
      }
      return reply.code(202).send({ deliveries: await webhooks.redeliverRange(tenantId, id, range, limits.webhookRedeliverMax) })
    },
  )

  app.post(
    '/webhooks/:webhook/test',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Send a test event',
        description: `Of the type \`${TEST_EVENT}\`, whatever the webhook subscribes to.`,
        params: WebhookParams,
        response: { 202: Delivery, ...schemas.problems(400, 404, 413, 415) },
      },
    },
    async (request: WebhookRequest, reply) => {
      const { tenantId, id } = webhookOf(request)
      return accepted(reply, await webhooks.test(tenantId, id))
    },
  )
}

/** "Now" of the database may be later than ours. */
const TOMORROW_MS = 24 * 60 * 60 * 1000

function deliveryId(request: FastifyRequest<{ Params: Static<typeof DeliveryParams> }>): WebhookDeliveryId {
  const { delivery } = request.params
  if (!isUuid(delivery)) throw new SluiceError('webhook_delivery_unknown')
  return delivery.toLowerCase() as WebhookDeliveryId
}
