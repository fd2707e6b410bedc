import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test, vi } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { apiOf, type Json } from './api.ts'
import { environment, run, stagedFiles, up } from './sluice-process.ts'

describe('sluice up', () => {
  test('shows on its first run what it does, says where it is, and keeps everything over a restart', async () => {
    const variables = await environment()
    const first = await up(variables)
    const output = first.process.output()
    expect(output).toContain(`Sluice is ready at http://127.0.0.1:${variables['SLUICE_HTTP_PORT']}`)
    expect(output).toMatch(/PRODUCT +NAME +BY/)
    expect(output).toMatch(/demo +image +multipart +image\/jpeg/)
    expect(output).toMatch(/demo +image_2 +base64/)
    expect(output).toMatch(/demo +image_3 +file id/)
    const before = await first.api.call('GET', '/v1/products/sku:demo/images')
    expect(before.body['images']).toHaveLength(5)

    const pasted = /curl .*/.exec(output)?.[0] ?? ''
    const curl = spawn('sh', ['-c', pasted])
    const [answer] = await once(curl.stdout, 'data')
    expect((JSON.parse(String(answer).trim() + (await rest(curl.stdout))) as Json)['images']).toHaveLength(5)

    first.process.child.kill('SIGTERM')
    expect(await first.process.exit()).toBe(0)

    const second = await up(variables)
    expect(second.process.output()).toContain('was shown on the first start')
    const api = apiOf(first.api.url, /Admin token\s+(\S+)/.exec(output)?.[1] ?? '')
    expect((await api.call('GET', '/v1/products/sku:demo/images')).body).toEqual(before.body)
    const made = run(['token', 'create', '--name', 'second', '--role', 'reader'], variables)
    expect(await made.exit()).toBe(0)
    expect((await apiOf(api.url, made.output().trim()).call('GET', '/v1/ingests')).status).toBe(200)
  })

  test('a port in use, and a second instance on the same data: one sentence each', async () => {
    const variables = await environment()
    await up(variables, '--no-demo')
    const second = run(['up'], variables)
    expect(await second.exit()).toBe(1)
    expect(second.output()).toContain('Another Sluice is running on')

    const third = run(['up'], { ...(await environment()), SLUICE_HTTP_PORT: variables['SLUICE_HTTP_PORT'] ?? '' })
    expect(await third.exit()).toBe(1)
    expect(third.output()).toContain(
      `Port ${variables['SLUICE_HTTP_PORT']} is in use: stop what uses it or set SLUICE_HTTP_PORT.`,
    )
    for (const refused of [second, third]) expect(refused.output()).not.toMatch(/\n\s+at /)
  })

  test('SIGTERM finishes what runs and loses nothing that was promised', async () => {
    const variables: Record<string, string> = {
      ...(await environment()),
      SLUICE_BOOTSTRAP_TOKEN: 'lifecycle-token-of-some-length',
      SLUICE_WORKER_CONCURRENCY: '2',
    }
    const first = await up(variables, '--no-demo')
    expect(first.process.output()).not.toContain(variables['SLUICE_BOOTSTRAP_TOKEN'])
    const product = await first.api.newProduct()
    const image = await drawSample({ seed: 3, width: 3000, height: 2000, format: 'png' })
    const accepted = await Promise.all(Array.from({ length: 12 }, () => first.api.addImage(product, image, {}, { prefer: '' })))
    expect(accepted.map(({ status }) => status)).toEqual(accepted.map(() => 202))
    first.process.child.kill('SIGTERM')
    expect(await first.process.exit()).toBe(0)

    const second = await up(variables, '--no-demo')
    for (const { headers } of accepted) {
      const ingest = await second.api.finished(headers.get('location') ?? '')
      expect(ingest['state']).toBe('committed')
    }
    const { images } = (await second.api.call('GET', `${product}/images`)).body as { images: Json[] }
    expect(images.map(({ name }) => name)).toEqual(['image', ...Array.from({ length: 11 }, (_, index) => `image_${index + 2}`)])
  })

  test('SIGKILL in the middle loses nothing that was promised, and leaves nothing staged', async () => {
    const variables: Record<string, string> = {
      ...(await environment()),
      SLUICE_BOOTSTRAP_TOKEN: 'lifecycle-token-of-some-length',
      SLUICE_LIMIT_RECONCILE_AFTER_MS: '4000',
      SLUICE_LIMIT_JOB_LOCK_MS: '3000',
      SLUICE_LIMIT_INGEST_MS_MAX: '3000',
      SLUICE_LIMIT_UPKEEP_EVERY_MS: '500',
    }
    const first = await up(variables, '--no-demo')
    const product = await first.api.newProduct()
    const image = await drawSample({ seed: 3, width: 2000, height: 1500, format: 'png' })
    const accepted = await Promise.all(Array.from({ length: 8 }, () => first.api.addImage(product, image, {}, { prefer: '' })))
    first.process.child.kill('SIGKILL')
    await first.process.exit()

    const second = await up(variables, '--no-demo')
    for (const { headers } of accepted) {
      expect((await second.api.finished(headers.get('location') ?? ''))['state']).toBe('committed')
    }
    const { images } = (await second.api.call('GET', `${product}/images`)).body as { images: Json[] }
    expect(images).toHaveLength(8)
    await vi.waitFor(async () => expect(await stagedFiles(variables)).toEqual([]), 10_000)
  })

  test('a second signal leaves at once', async () => {
    const variables = await environment()
    const { process, api } = await up({ ...variables, SLUICE_BOOTSTRAP_TOKEN: 'lifecycle-token-of-some-length' }, '--no-demo')
    const product = await api.newProduct()
    // A body that never ends holds the first, orderly stop.
    void api
      .send('POST', `${product}/images`, {
        body: new ReadableStream({ pull: () => new Promise(() => {}) }),
        duplex: 'half',
        headers: { 'content-type': 'image/png' },
      })
      .catch(() => undefined)
    await vi.waitFor(async () => expect((await api.call('GET', '/v1/ingests')).status).toBe(200))
    process.child.kill('SIGTERM')
    await vi.waitFor(
      async () =>
        expect(
          await api.call('GET', '/v1/ingests').then(
            () => 'open',
            () => 'closed',
          ),
        ).toBe('closed'),
      { timeout: 10_000 },
    )
    process.child.kill('SIGTERM')
    expect(await process.exit()).toBe(143)
  })

  test('tells all that is wrong with the settings at once', async () => {
    const wrong = run(['up'], { ...(await environment()), SLUICE_HTTP_PORT: 'x', SLUICE_LIMIT_PIXELS_MAX: '-1' })
    expect(await wrong.exit()).toBe(1)
    expect(wrong.output()).toContain('SLUICE_HTTP_PORT')
    expect(wrong.output()).toContain('SLUICE_LIMIT_PIXELS_MAX')
  })
})

async function rest(stream: AsyncIterable<unknown>): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += String(chunk)
  return text
}
