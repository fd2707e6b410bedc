import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import type { Json } from './api.ts'
import { type Ended, openPassing, type Passing, type Running, startSluice } from './import-command.ts'
import { openStack, type Stack } from './stack.ts'

let stack: Stack
let passing: Passing
let directory: string
let seed = 0

beforeAll(async () => {
  stack = await openStack('embedded')
  passing = await openPassing(stack.api.url)
})
afterAll(async () => {
  await passing?.[Symbol.asyncDispose]()
  await stack?.[Symbol.asyncDispose]()
})
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sluice-import-'))
  passing.reset()
  passing.onRequest = () => undefined
  return async () => {
    // A test that failed may have left one.
    for (const { child } of started.splice(0)) child.kill('SIGKILL')
    await rm(directory, { recursive: true, force: true })
  }
})

const started: Running[] = []

const start = (words: readonly string[], stdin?: string): Running => {
  const running = startSluice({
    words,
    cwd: directory,
    env: { SLUICE_URL: passing.url, SLUICE_TOKEN: stack.token },
    ...(stdin === undefined ? {} : { stdin }),
  })
  started.push(running)
  return running
}
const sluice = (...words: string[]): Promise<Ended> => start(words).ended

/** An image that nothing else in this file has; the folder is made where it is missing. */
async function draw(path: string): Promise<Buffer> {
  const image = Buffer.from(await drawSample({ seed: ++seed, width: 64, height: 48, format: 'jpeg' }))
  await write(path, image)
  return image
}

async function write(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(join(directory, path)), { recursive: true })
  await writeFile(join(directory, path), content)
}

const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex')
const imagesOf = async (sku: string): Promise<Json> => (await stack.api.call('GET', `/v1/products/sku:${sku}/images`)).body
const digestsOf = async (sku: string): Promise<string[]> =>
  (await imagesOf(sku))['images'].map((image: Json) => image['file']['sha256'])
const newSku = (): string => `import-${crypto.randomUUID().slice(0, 8)}`
const idIn = (text: string): string => /undo ([0-9a-f-]{36})/.exec(text)?.[1] ?? ''
const readLines = async (path: string): Promise<Json[]> =>
  (await readFile(join(directory, path), 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Json)

describe('sluice import <folder>', () => {
  test('brings each file where its name says, and the same again moves nothing', async () => {
    const [one, two] = [newSku(), newSku()]
    const images = { third: await draw(`in/${one}_3.jpg`), first: await draw(`in/below/${one}_1.jpg`) }
    const second = await draw(`in/${one}_2.jpg`)
    const other = await draw(`in/${two}_1.jpg`)
    await write('in/README.md', 'not an image')

    const { code, stdout, stderr } = await sluice('import', 'in', '--create-products')
    expect({ code, stdout, stderr }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('4 rows: 4 done, 0 the same already, 0 failed.'),
    })
    expect(stderr).toContain('README.md: left out, its name does not match the pattern')
    expect(await digestsOf(one)).toEqual([images.first, second, images.third].map(sha256))
    expect(await digestsOf(two)).toEqual([sha256(other)])
    expect(passing.requests.get('POST /v1/files')).toBe(4)

    const before = await Promise.all([one, two].map(imagesOf))
    passing.reset()
    const again = await sluice('import', 'in', '--create-products')
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('4 rows: 0 done, 4 the same already, 0 failed.') })
    expect(passing.requests.get('POST /v1/files')).toBeUndefined()
    expect(passing.fileBytes()).toBe(0)
    expect(await Promise.all([one, two].map(imagesOf))).toEqual(before)
  })

  test('sends bytes once that several files have', async () => {
    const sku = newSku()
    const image = await draw(`in/${sku}a_1.jpg`)
    for (const name of [`${sku}b_1.jpg`, `${sku}c_1.jpg`]) await write(`in/${name}`, image)
    expect(await sluice('import', 'in', '--create-products')).toMatchObject({ code: 0 })
    expect(passing.requests.get('POST /v1/files')).toBe(1)
    for (const letter of ['a', 'b', 'c']) expect(await digestsOf(sku + letter)).toEqual([sha256(image)])
  })

  test('reads names as --pattern says', async () => {
    const sku = newSku()
    await draw(`in/${sku}/thumbnail.jpg`)
    await draw(`in/${sku}/image.jpg`)
    const pattern = '(?<sku>[^/]+)/(?<role>image|thumbnail)\\.jpg'
    expect(await sluice('import', 'in', '--create-products', '--pattern', pattern)).toMatchObject({ code: 0 })
    const { images } = await imagesOf(sku)
    expect(images.find((image: Json) => image['main'])['file']['sha256']).toBe(
      sha256(await readFile(join(directory, `in/${sku}/image.jpg`))),
    )
    expect(images.find((image: Json) => image['roles'].includes('thumbnail'))['main']).toBe(false)
  })
})

describe('sluice import <manifest>', () => {
  test('takes CSV, with paths that are relative to it', async () => {
    const sku = newSku()
    const front = await draw('season/photos/front.jpg')
    const back = await draw('season/photos/back.jpg')
    const rows = [
      'sku,path,label,position,roles,main',
      `${sku},photos/back.jpg,"Behind, in full",2,thumbnail,`,
      `${sku},photos/front.jpg,Front,1,,true`,
    ]
    await write('season/spring.csv', rows.join('\r\n'))
    expect(await sluice('import', 'season/spring.csv', '--create-products')).toMatchObject({ code: 0 })
    const { images } = await imagesOf(sku)
    expect(images).toMatchObject([
      { label: 'Front', position: 1, main: true, file: { sha256: sha256(front) } },
      { label: 'Behind, in full', position: 2, main: false, file: { sha256: sha256(back) } },
    ])
    expect(images[1].roles).toContain('thumbnail')
  })

  test('takes JSON Lines from stdin with any kind of source, and the same again moves nothing', async () => {
    const sku = newSku()
    const [path, base64, digest, file] = (await Promise.all(['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg'].map(draw))) as [
      Buffer,
      Buffer,
      Buffer,
      Buffer,
    ]
    const upload = async (image: Buffer) =>
      (await (
        await stack.api.send('POST', '/v1/files', {
          body: new Uint8Array(image),
          headers: { 'content-type': 'image/jpeg', prefer: 'wait=30' },
        })
      ).json()) as Json
    await upload(digest)
    const { id } = await upload(file)
    const sources = [{ path: 'a.jpg' }, { base64: base64.toString('base64') }, { sha256: sha256(digest) }, { file_id: id }]
    const lines = sources
      .map((source, index) => JSON.stringify({ product: `sku:${sku}`, position: index + 1, ...source }))
      .join('\n')
    const words = ['import', '-', '--create-products']
    const first = await start(words, lines).ended
    expect(first).toMatchObject({ code: 0, stdout: expect.stringContaining('4 rows: 4 done') })
    expect(await digestsOf(sku)).toEqual([path, base64, digest, file].map(sha256))
    expect(passing.requests.get('POST /v1/files')).toBe(2)
    passing.reset()
    expect(await start(words, lines).ended).toMatchObject({ code: 0, stdout: expect.stringContaining('4 the same already') })
    expect(passing.fileBytes()).toBe(0)
  })
})

describe('a plan', () => {
  test('says what would be done and touches nothing, and applying does exactly that, once', async () => {
    const [known, unknown] = [newSku(), newSku()]
    const [there, added] = [await draw(`in/${known}_1.jpg`), await draw(`in/${known}_2.jpg`)]
    await draw(`in/${unknown}_1.jpg`)
    await stack.api.call('POST', '/v1/products', { sku: known })
    await stack.api.addImage(`/v1/products/sku:${known}`, there)
    const before = await imagesOf(known)

    const planned = await sluice('import', 'in', '--create-products', '--plan', 'p.jsonl')
    expect(planned).toMatchObject({ code: 0, stdout: expect.stringContaining('Nothing was changed. The plan is in p.jsonl') })
    expect(passing.fileBytes()).toBe(0)
    expect(await imagesOf(known)).toEqual(before)
    expect((await stack.api.send('GET', `/v1/products/sku:${unknown}`)).status).toBe(404)
    const [head, ...rows] = await readLines('p.jsonl')
    expect(head).toMatchObject({ sluice_plan: 1, plan_hash: expect.stringMatching(/^[0-9a-f]{64}$/) })
    const actions = Object.fromEntries(rows.map((row) => [row['file'], row['action']]))
    expect(actions).toEqual({ [`${known}_1.jpg`]: 'skip', [`${known}_2.jpg`]: 'attach', [`${unknown}_1.jpg`]: 'create' })

    const applied = await sluice('import', 'apply', 'p.jsonl', '--report', 'out.jsonl')
    expect(applied).toMatchObject({ code: 0, stdout: expect.stringContaining('3 rows: 2 done, 1 the same already, 0 failed.') })
    expect(Object.fromEntries((await readLines('out.jsonl')).map((row) => [row['file'], row['action']]))).toEqual(actions)
    expect(await digestsOf(known)).toEqual([there, added].map(sha256))
    expect(await digestsOf(unknown)).toHaveLength(1)
    expect(await sluice('import', 'apply', 'p.jsonl')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('p.jsonl was applied before'),
    })
  })

  test('is refused when a product has moved since, and when a file has', async () => {
    const sku = newSku()
    await draw(`in/${sku}_1.jpg`)
    await stack.api.call('POST', '/v1/products', { sku })
    expect(await sluice('import', 'in', '--plan', 'p.jsonl')).toMatchObject({ code: 0 })
    await stack.api.addImage(`/v1/products/sku:${sku}`, await draw('other.jpg'))
    const before = await imagesOf(sku)
    expect(await sluice('import', 'apply', 'p.jsonl')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Make a new plan'),
    })
    expect(await imagesOf(sku)).toEqual(before)

    expect(await sluice('import', 'in', '--plan', 'q.jsonl')).toMatchObject({ code: 0 })
    await draw(`in/${sku}_1.jpg`)
    expect(await sluice('import', 'apply', 'q.jsonl')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`${sku}_1.jpg has changed since q.jsonl was made`),
    })
    expect(await imagesOf(sku)).toEqual(before)
  })
})

describe('taking back', () => {
  test('a sync leaves what its rows name, and undo restores what was there, names and order too', async () => {
    const sku = newSku()
    await stack.api.call('POST', '/v1/products', { sku })
    const kept = await draw(`in/${sku}_1.jpg`)
    for (const [label, image] of [
      ['old', await draw('old.jpg')],
      ['kept', kept],
      ['older', await draw('older.jpg')],
    ] as const)
      await stack.api.addImage(`/v1/products/sku:${sku}`, image, { label })
    const before = (await imagesOf(sku))['images'] as Json[]
    const added = await draw(`in/${sku}_2.jpg`)

    const { code, stdout } = await sluice('import', 'in', '--sync')
    expect(code).toBe(0)
    expect(await digestsOf(sku)).toEqual([kept, added].map(sha256))
    const id = idIn(stdout)
    expect(await sluice('import', 'status', id)).toMatchObject({ code: 0, stdout: expect.stringContaining('finished') })

    const undone = await sluice('import', 'undo', id)
    expect(undone).toMatchObject({ code: 0, stdout: expect.stringContaining('1 product put back as before, 0 products left') })
    const told = ({ id, name, label, position, main, roles }: Json) => ({ id, name, label, position, main, roles })
    expect(((await imagesOf(sku))['images'] as Json[]).map(told)).toEqual(before.map(told))
    expect(JSON.parse((await sluice('import', 'status', id, '--json')).stdout)).toMatchObject({ id, state: 'undone' })
  })

  test('leaves what others have changed since, says so, and takes it back when forced', async () => {
    const [mine, theirs] = [newSku(), newSku()]
    for (const sku of [mine, theirs]) {
      await stack.api.call('POST', '/v1/products', { sku })
      await draw(`in/${sku}_1.jpg`)
    }
    const id = idIn((await sluice('import', 'in')).stdout)
    await stack.api.addImage(`/v1/products/sku:${theirs}`, await draw('since.jpg'))
    const undone = await sluice('import', 'undo', id)
    expect(undone).toMatchObject({ code: 1, stdout: expect.stringMatching(new RegExp(`sku:${theirs} +changed since`)) })
    expect(await digestsOf(mine)).toEqual([])
    expect(await digestsOf(theirs)).toHaveLength(2)
    expect(await sluice('import', 'undo', id, '--force')).toMatchObject({ code: 0 })
    expect((await digestsOf(theirs)).length).toBeLessThan(2)
  })
})

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
