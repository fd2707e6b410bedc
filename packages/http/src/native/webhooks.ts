import type { FastifyInstance, FastifyRequest } from 'fastify'
import {
  isUuid,
  newWebhookSalt,
  SluiceError,
  type TenantId,
  type Webhook,
  type WebhookChange,
  type WebhookId,
  webhookSecret,
} from '@sluice/core'
import { Type, type Static } from 'typebox'
import { callerOf } from '../authenticate.ts'
import type { NativeOptions } from './index.ts'
import * as schemas from './schemas.ts'
import { ShownWebhook, webhookFields, webhookPath, webhookView, WebhookWithSecret } from './webhook-schemas.ts'

export const WebhookParams = Type.Object({ webhook: Type.String({ description: 'The id of the webhook' }) })

export type WebhookRequest = FastifyRequest<{ Params: Static<typeof WebhookParams> }>

const tags = ['Webhooks out']

/** Who wants to hear of what. */
export async function webhookRoutes(app: FastifyInstance, { world }: NativeOptions): Promise<void> {
  const { database, fetcher, limits, newId, now, secretKey } = world
  const { webhooks } = database
  const { url, events, ...others } = webhookFields(limits)
  const NewWebhook = Type.Object(
    { url, events, ...Type.Partial(Type.Object(others)).properties },
    { additionalProperties: false },
  )
  const Change = Type.Partial(Type.Object({ url, events, ...others }), { additionalProperties: false, minProperties: 1 })

  const view = (webhook: Webhook) => webhookView(webhook, now())
  const withSecret = (webhook: Webhook) => {
    const [newest] = webhook.salts
    if (!newest) throw new SluiceError('internal_error')
    return { ...view(webhook), secret: webhookSecret(secretKey, webhook, newest) }
  }
  /** Under the same rules as any address that a stranger gave; a name is looked up when something is sent. */
  const checked = (address: string) => {
    try {
      return fetcher.check(address)
    } catch (cause) {
      if (!SluiceError.is(cause)) throw cause
      const message = 'must be an address of https: at a public host, without a user name, on the port 443 or 80'
      throw new SluiceError('request_invalid', `url ${message}.`, { details: { errors: [{ field: 'url', message }] }, cause })
    }
  }

  app.post<{ Body: Static<typeof NewWebhook> }>(
    '/webhooks',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Subscribe to events',
        description: 'The answer has the secret that signatures are checked with. It is shown this once.',
        body: NewWebhook,
        response: { 201: WebhookWithSecret, ...schemas.problems(400, 413, 415, 422) },
      },
    },
    async (request, reply) => {
      const { tenantId } = callerOf(request)
      const { description = null, enabled = true } = request.body
      const id = newId() as WebhookId
      const given = { url: checked(request.body.url), events: request.body.events, description, enabled }
      const webhook = await webhooks.create({ id, tenantId, ...given, salt: newWebhookSalt() }, limits.webhooksMax)
      return reply.code(201).header('location', webhookPath(id)).header('cache-control', 'no-store').send(withSecret(webhook))
    },
  )

  app.get(
    '/webhooks',
    {
      config: { access: 'reader' },
      schema: {
        tags,
        summary: 'List webhooks, newest first',
        response: { 200: Type.Object({ items: Type.Array(ShownWebhook) }), ...schemas.problems() },
      },
    },
    async (request) => ({ items: (await webhooks.list(callerOf(request).tenantId)).map(view) }),
  )

  app.get(
    '/webhooks/:webhook',
    {
      config: { access: 'reader' },
      schema: {
        tags,
        summary: 'Read a webhook',
        params: WebhookParams,
        response: { 200: ShownWebhook, ...schemas.problems(404) },
      },
    },
    async (request: WebhookRequest) => {
      const { tenantId, id } = webhookOf(request)
      const webhook = await webhooks.find(tenantId, id)
      if (!webhook) throw new SluiceError('webhook_unknown')
      return view(webhook)
    },
  )

  app.patch<{ Params: Static<typeof WebhookParams>; Body: Static<typeof Change> }>(
    '/webhooks/:webhook',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Change a webhook',
        description: 'Only what is given changes. Another address, or `enabled: true`, ends a pause.',
        params: WebhookParams,
        body: Change,
        response: { 200: ShownWebhook, ...schemas.problems(400, 404, 413, 415) },
      },
    },
    async (request) => {
      const { tenantId, id } = webhookOf(request)
      const { url, ...rest } = request.body
      const change: WebhookChange = { ...rest, ...(url !== undefined && { url: checked(url) }) }
      return view(await webhooks.update(tenantId, id, change))
    },
  )

  app.delete(
    '/webhooks/:webhook',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Remove a webhook and its deliveries',
        params: WebhookParams,
        response: { 204: Type.Null(), ...schemas.problems(400, 404, 415) },
      },
    },
    async (request: WebhookRequest, reply) => {
      const { tenantId, id } = webhookOf(request)
      if (!(await webhooks.remove(tenantId, id))) throw new SluiceError('webhook_unknown')
      return reply.code(204).send()
    },
  )

  app.post(
    '/webhooks/:webhook/rotate',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Get a new secret',
        description: `The old one stays valid for ${limits.webhookRotationMsMax / 3_600_000} hours: until then, every event is signed with both.`,
        params: WebhookParams,
        response: { 200: WebhookWithSecret, ...schemas.problems(400, 404, 413, 415, 422) },
      },
    },
    async (request: WebhookRequest, reply) => {
      const { tenantId, id } = webhookOf(request)
      const { webhookRotationMsMax: keepMs, webhookSecretsMax: max } = limits
      const webhook = await webhooks.rotate(tenantId, id, newWebhookSalt(), keepMs, max)
      return reply.header('cache-control', 'no-store').send(withSecret(webhook))
    },
  )
}

/** Throws `webhook_unknown` for text that can name none. */
export function webhookOf(request: FastifyRequest<{ Params: Static<typeof WebhookParams> }>): {
  readonly tenantId: TenantId
  readonly id: WebhookId
} {
  const { webhook } = request.params
  if (!isUuid(webhook)) throw new SluiceError('webhook_unknown')
  return { tenantId: callerOf(request).tenantId, id: webhook.toLowerCase() as WebhookId }
}
