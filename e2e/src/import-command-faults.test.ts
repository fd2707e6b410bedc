import { describe, expect, test, vi } from 'vitest'
import type { Json } from './api.ts'
import {
  digestsOf,
  draw,
  idIn,
  imagesOf,
  newSku,
  passing,
  readLines,
  sitDown,
  sluice,
  stack,
  start,
  write,
} from './import-desk.ts'

sitDown()

describe('rows that fail', () => {
  test('are told with file, line and field while the others go on, and stand in the report', async () => {
    const sku = newSku()
    await stack.api.call('POST', '/v1/products', { sku })
    await draw('good.jpg')
    await write('broken.jpg', (await draw('whole.jpg')).subarray(0, 400))
    await write('text.jpg', 'this is no image')
    await write('empty.jpg', '')
    const rows = [
      'sku,path,position',
      `${sku},good.jpg,1`,
      `${sku},absent.jpg,`,
      `${sku},broken.jpg,`,
      `${sku},text.jpg,`,
      `${sku},empty.jpg,`,
      `${sku},good.jpg,zero`,
      `${newSku()},good.jpg,`,
    ]
    await write('m.csv', rows.join('\n'))
    const { code, stdout, stderr } = await sluice('import', 'm.csv', '--report', 'out.jsonl')
    expect(code).toBe(1)
    expect(stdout).toContain('7 rows: 1 done, 0 the same already, 6 failed.')
    expect(stderr).toMatch(/m\.csv:3: path .*absent\.jpg cannot be read \(ENOENT\)/)
    expect(stderr).toMatch(/m\.csv:4: path /)
    expect(stderr).toMatch(/m\.csv:5: path is no image that we know. Accepted are/)
    expect(stderr).toMatch(/m\.csv:6: path .*empty\.jpg is empty/)
    expect(stderr).toMatch(/m\.csv:7: position /)
    expect(stderr).toMatch(/m\.csv:8: .*product/i)
    const report = await readLines('out.jsonl')
    expect(report.map((row) => [row['file'], row['state']])).toEqual([
      ['m.csv:2', 'done'],
      ...[3, 4, 5, 6, 7, 8].map((line) => [`m.csv:${line}`, expect.stringMatching(/^(failed|invalid)$/)]),
    ])
    expect(report[1]).toMatchObject({ found_here: { field: 'path', message: expect.stringContaining('ENOENT') } })
    expect(await digestsOf(sku)).toHaveLength(1)
  })

  test('stop everything before anything is applied, with --on-error stop', async () => {
    const sku = newSku()
    await stack.api.call('POST', '/v1/products', { sku })
    await draw('good.jpg')
    await write('m.csv', `sku,path\n${sku},good.jpg\n${sku},absent.jpg\n`)
    expect(await sluice('import', 'm.csv', '--on-error', 'stop')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Stopped at m.csv:3, as --on-error stop asks. Nothing was applied.'),
    })
    expect(await digestsOf(sku)).toEqual([])
  })

  test('do not let a sync detach what they may be about', async () => {
    const sku = newSku()
    await stack.api.call('POST', '/v1/products', { sku })
    await stack.api.addImage(`/v1/products/sku:${sku}`, await draw('there.jpg'))
    await draw('good.jpg')
    await write('m.csv', `sku,path\n${sku},good.jpg\n${sku},absent.jpg\n`)
    expect(await sluice('import', 'm.csv', '--sync')).toMatchObject({ code: 1 })
    expect(await digestsOf(sku)).toHaveLength(2)
    await write('n.jsonl', `{"sku":"${sku}","path":"good.jpg"}\n{"sku":\n`)
    expect(await sluice('import', 'n.jsonl', '--sync')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('1 line of n.jsonl cannot be read'),
    })
  })

  test('wait for their product with --park, and nobody needs to stay', async () => {
    const sku = newSku()
    await draw(`in/${sku}_1.jpg`)
    const { code, stdout } = await sluice('import', 'in', '--park', '1h')
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('1 waiting') })
    await stack.api.call('POST', '/v1/products', { sku })
    await vi.waitFor(async () => expect(await digestsOf(sku)).toHaveLength(1), { timeout: 30_000, interval: 200 })
    const id = idIn(stdout)
    await vi.waitFor(
      async () => expect((await stack.api.call('GET', `/v1/imports/${id}`)).body['state']).toBe('finished'),
      30_000,
    )
  })
})

describe('an import that was interrupted', () => {
  test('by kill -9 while it sends goes on where it was, and no byte is sent twice that had arrived', async () => {
    const sku = newSku()
    for (let number = 1; number <= 20; number += 1) await draw(`in/${sku}_${number}.jpg`)
    const words = ['import', 'in', '--create-products', '--concurrency', '1']
    const first = start(words)
    let uploads = 0
    passing.onRequest = (line) => {
      if (line === 'POST /v1/files' && ++uploads === 8) first.child.kill('SIGKILL')
    }
    expect(await first.ended).toMatchObject({ signal: 'SIGKILL' })
    passing.onRequest = () => undefined
    passing.reset()
    expect(await sluice(...words)).toMatchObject({ code: 0, stdout: expect.stringContaining('20 rows: 20 done') })
    // Seven had arrived; what became of the eighth was not known.
    expect(passing.requests.get('POST /v1/files')).toBeGreaterThanOrEqual(12)
    expect(passing.requests.get('POST /v1/files')).toBeLessThanOrEqual(13)
    const { images } = await imagesOf(sku)
    expect(images.map((image: Json) => image['position'])).toEqual(Array.from({ length: 20 }, (_, index) => index + 1))
    expect(new Set(await digestsOf(sku)).size).toBe(20)
  })

  test('by kill -9 while it is applied is found again, and nothing is doubled', async () => {
    const sku = newSku()
    for (let number = 1; number <= 12; number += 1) await draw(`in/${sku}_${number}.jpg`)
    const words = ['import', 'in', '--create-products']
    const first = start(words)
    let isApplied = false
    passing.onRequest = (line) => {
      if (line === 'POST /v1/imports/:id/apply') isApplied = true
      else if (isApplied) first.child.kill('SIGKILL')
    }
    expect(await first.ended).toMatchObject({ signal: 'SIGKILL' })
    passing.onRequest = () => undefined
    passing.reset()
    const again = await sluice(...words)
    expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/12 rows: (12 done, 0|0 done, 12) the same already/) })
    expect(passing.requests.get('POST /v1/files')).toBeUndefined()
    expect(new Set(await digestsOf(sku)).size).toBe(12)
    expect(await digestsOf(sku)).toHaveLength(12)
  })

  test('by Ctrl-C stops on the server too, says how to go on, and goes on', async () => {
    const sku = newSku()
    for (let number = 1; number <= 12; number += 1) await draw(`in/${sku}_${number}.jpg`)
    // Of products that are not there nothing is done, so there is time to stop it.
    const words = ['import', 'in', '--park', '1h']
    const first = start(words)
    let isApplied = false
    passing.onRequest = (line) => {
      if (line === 'POST /v1/imports/:id/apply') isApplied = true
      else if (isApplied && line === 'GET /v1/imports/:id') first.child.kill('SIGINT')
    }
    const ended = await first.ended
    expect(ended).toMatchObject({
      code: 130,
      stderr: expect.stringContaining('Stopped: nothing more is begun. The same command goes on'),
    })
    const id = /status ([0-9a-f-]{36})/.exec(ended.stderr)?.[1] ?? ''
    expect((await stack.api.call('GET', `/v1/imports/${id}`)).body['state']).toMatch(/^stop/)
    passing.onRequest = () => undefined
    await stack.api.call('POST', '/v1/products', { sku })
    const again = await sluice(...words)
    expect(again).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('12 done'),
      stderr: expect.stringContaining(`Going on with import ${id}`),
    })
    expect(await digestsOf(sku)).toHaveLength(12)
  })
})

describe('a call that cannot work', () => {
  test.each([
    [['import'], 'Say what is to be imported'],
    [['import', 'absent'], 'there is no such folder or file'],
    [['import', '.', '--pattern', '(?<colour>.*)'], "--pattern '(?<colour>.*)' cannot be used"],
    [['import', '.', '--park', 'soon'], 'a duration looks like 90s, 15m, 24h or 7d'],
    [['import', '.', '--on-error', 'cry'], 'Allowed choices are skip, stop'],
    [['import', '.', '--concurrency', '0'], 'a whole number from 1 to 64'],
    [['import', '.', '--url', 'here'], '--url must be an address'],
    [['import', '.', '--token', 'wrong'], 'refuses the token'],
    [['import', 'apply', 'm.csv'], 'm.csv:1 is not the head of a plan'],
    [['import', 'm.csv'], 'm.csv:1: "colour" is not one of the columns'],
    [['import', 'status', '0197f1c2-3a4b-7c5d-8e6f-0123456789ab'], 'There is no import'],
  ])('ends with 2 and says why: %o', async (words, why) => {
    await write('m.csv', 'sku,colour\na,red\n')
    await draw('a_1.jpg')
    expect(await sluice(...words)).toMatchObject({ code: 2, stderr: expect.stringContaining(why) })
  })

  test('ends with 3 when nobody is there', async () => {
    await draw('a_1.jpg')
    expect(await sluice('import', '.', '--url', 'http://127.0.0.1:9')).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('http://127.0.0.1:9 cannot be reached'),
    })
  })
})
