/** What makes a delivery ours: the signatures of Standard Webhooks, https://www.standardwebhooks.com. */
import { randomBytes } from 'node:crypto'
import { Webhook as Signer } from 'standardwebhooks'
import { deriveSecret } from './secret-key.ts'
import type { Webhook, WebhookDelivery, WebhookSalt } from './webhook.ts'

export function newWebhookSalt(): string {
  return randomBytes(16).toString('base64url')
}

/** Follows from the key of the installation, so that none is stored. 256 bits, in the form that the standard gives to secrets. */
export function webhookSecret(secretKey: string, { id }: Pick<Webhook, 'id'>, { salt }: Pick<WebhookSalt, 'salt'>): string {
  const derived = deriveSecret(secretKey, 'webhook', `${id.toLowerCase()}\n${salt}`)
  return `whsec_${Buffer.from(derived, 'base64url').toString('base64')}`
}

/** While a secret is being replaced, a receiver may know the old one or the new: there is a signature by each. */
export function signatureHeaders(
  secretKey: string,
  webhook: Pick<Webhook, 'id' | 'salts'>,
  { eventId, body }: Pick<WebhookDelivery, 'eventId' | 'body'>,
  at: Date,
): Readonly<Record<string, string>> {
  const valid = webhook.salts.filter(({ until }) => until === null || until > at)
  const signatures = valid.map((salt) => new Signer(webhookSecret(secretKey, webhook, salt)).sign(eventId, at, body))
  return {
    'webhook-id': eventId,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': signatures.join(' '),
  }
}
