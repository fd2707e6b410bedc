import { afterEach, expect, test } from 'vitest'
import { openStack, type Stack } from './stack.ts'

let stack: Stack | undefined
afterEach(async () => stack?.[Symbol.asyncDispose]())

const GUESSES_MAX = 30

/** What guesses of a secret are answered, each from the address that it says it comes from. */
async function guess(addresses: readonly string[]): Promise<readonly number[]> {
  const statuses: number[] = []
  for (const address of addresses) {
    const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: 'x', client_secret: 'guessed' })
    const answer = await stack?.api.send('POST', '/oauth/access_token', {
      token: null,
      body,
      headers: { 'x-forwarded-for': address },
    })
    statuses.push(answer?.status ?? 0)
    await answer?.text()
  }
  return statuses
}

test('who guesses cannot pass for others, by any header, where no proxy is trusted', async () => {
  stack = await openStack('embedded')
  await guess(Array.from({ length: GUESSES_MAX }, (_, index) => `203.0.113.${index}`))
  expect(await guess(['198.51.100.1', '198.51.100.2'])).toEqual([429, 429])
})

test('behind a proxy that is trusted, one who guesses does not shut out the others', async () => {
  stack = await openStack('embedded', { SLUICE_TRUSTED_PROXIES: '127.0.0.1,::1' })
  const statuses = await guess(Array.from({ length: GUESSES_MAX }, () => '203.0.113.7'))
  expect(new Set(statuses)).toEqual(new Set([401]))
  expect(await guess(['203.0.113.7', '198.51.100.1', '198.51.100.1, 203.0.113.7'])).toEqual([429, 401, 429])
})
