/** What becomes of a delivery when its worker dies while it is under way: docs/webhooks-out.md. */
import { expect, test, vi } from 'vitest'
import { openReceiver, verify } from './receiver.ts'
import { environment, up } from './sluice-process.ts'

const SOON = { timeout: 30_000, interval: 100 }

test('a worker that is killed between sending and hearing the answer sends again, under the same id; and nothing is lost', async () => {
  await using receiver = await openReceiver()
  const dies = Promise.withResolvers<void>()
  // The first is taken, but whoever sent it does not live to hear so.
  receiver.behave('/hook', (_received, response, times) => {
    if (times > 1) response.writeHead(204).end()
    else dies.resolve()
  })
  const variables = {
    ...(await environment()),
    SLUICE_BOOTSTRAP_TOKEN: 'webhook-token-of-some-length',
    SLUICE_FETCH_ALLOW: receiver.host,
    SLUICE_LIMIT_WEBHOOK_SEND_MS_MAX: '3000',
    SLUICE_LIMIT_WEBHOOK_LEASE_MS: '4000',
  }
  const first = await up(variables, '--no-demo')
  const { body: webhook } = await first.api.call('POST', '/v1/webhooks', {
    url: receiver.url('/hook'),
    events: ['product.images_changed'],
  })
  const product = await first.api.newProduct()
  const change = async () => {
    const changed = await first.api.call('PUT', `${product}/images/order`, { images: [] }, { 'if-match': '*' })
    expect(changed.status).toBe(200)
  }
  for (let n = 0; n < 3; n += 1) await change()
  await dies.promise
  first.process.child.kill('SIGKILL')
  await first.process.exit()

  const second = await up(variables, '--no-demo')
  await vi.waitFor(() => expect(receiver.received('/hook')).toHaveLength(4), SOON)
  const received = receiver.received('/hook')
  expect(received.map(({ event }) => event.data['version'])).toEqual([2, 2, 3, 4])
  expect(received[1]).toMatchObject({ id: received[0]?.id, body: received[0]?.body })
  for (const one of received) verify(webhook['secret'], one)

  await vi.waitFor(async () => {
    const { body } = await second.api.call('GET', `${webhook['links'].deliveries}?state=delivered`)
    expect(body['items'].map((delivery: { event_id: string }) => delivery.event_id).toSorted()).toEqual(
      [...new Set(received.map(({ id }) => id))].toSorted(),
    )
  }, SOON)
})
