/** Webhooks in, from senders that do all that they should not: exactly what was signed is applied, once. */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { labelsOf, newProduct, newSource, OTHER, post, type Sent, settled, signed } from './hook-sender.ts'
import { openStack, RUNNABLE, type Stack } from './stack.ts'

describe.for(RUNNABLE)('webhooks in: %s', (wiring) => {
  let stack: Stack
  let content: string
  beforeAll(async () => {
    stack = await openStack(wiring)
    content = (await drawSample({ seed: 1, width: 24, height: 16, format: 'png' })).toString('base64')
  })
  afterAll(async () => stack?.[Symbol.asyncDispose]())

  test('of forged, replayed, reordered and doubled streams, exactly the signed events are applied, once', async () => {
    const source = await newSource(stack)
    const products = await Promise.all(Array.from({ length: 10 }, () => newProduct(stack)))
    const event = (n: number) => ({
      type: 'images.added',
      sku: products[n % 10]?.sku,
      images: [{ content, label: `event ${n}` }],
    })
    const good = Array.from({ length: 300 }, (_, n) => signed(event(n), { id: `msg_${n}` }))
    const old = new Date(Date.now() - 301_000)
    const forged = Array.from({ length: 300 }, (_, n): Sent => {
      const wrong = { ...event(n), images: [{ content, label: 'forged' }] }
      const kind = n % 6
      if (kind === 0) return signed(wrong, { secret: OTHER })
      if (kind === 1) return { ...signed(event(n)), body: JSON.stringify(wrong) }
      if (kind === 2) return signed(wrong, { at: old })
      if (kind === 3) return { body: JSON.stringify(wrong), headers: {} }
      const { body, headers } = signed(wrong)
      if (kind === 4) return { body, headers: { ...headers, 'webhook-id': 'msg_other' } }
      return { body, headers: { ...headers, 'webhook-timestamp': String(Number(headers['webhook-timestamp']) + 1) } }
    })
    const stream = [
      ...[...good, ...good, ...good.slice(0, 100)].map((sent) => ({ sent, isGood: true })),
      ...forged.map((sent) => ({ sent, isGood: false })),
    ]
    const queue = shuffled(stream, 7)
    const answers: [boolean, number, string][] = []
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let next = queue.pop(); next; next = queue.pop()) {
          const { status, body } = await post(stack, source['url'], next.sent)
          answers.push([next.isGood, status, body['code'] ?? body['status']])
        }
      }),
    )
    const count = (...wanted: unknown[]) => answers.filter((answer) => JSON.stringify(answer) === JSON.stringify(wanted)).length
    expect(count(true, 200, 'received')).toBe(300)
    expect(count(true, 200, 'known')).toBe(400)
    expect(count(false, 401, 'signature_invalid')).toBe(300)

    await settled(stack, source)
    const labels = (await Promise.all(products.map((product) => labelsOf(stack, product)))).flat()
    expect(labels.sort()).toEqual(Array.from({ length: 300 }, (_, n) => `event ${n}`).sort())
    // What was received before is known when it has long been applied.
    for (const sent of good.slice(0, 5)) expect((await post(stack, source['url'], sent)).body['status']).toBe('known')
    expect((await labelsOf(stack, products[0] ?? { path: '' })).length).toBe(30)
  })
})

/** In an order that is random and the same each time. */
function shuffled<T>(items: readonly T[], seed: number): T[] {
  return items
    .map((item, index) => ({ item, key: createHash('sha256').update(`${seed} ${index}`).digest('hex') }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ item }) => item)
}
