import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Json } from './api.ts'
import {
  digestsOf,
  directory,
  draw,
  idIn,
  imagesOf,
  newSku,
  passing,
  readLines,
  sha256,
  sitDown,
  sluice,
  stack,
  start,
  write,
} from './import-desk.ts'

sitDown()

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
    expect(undone).toMatchObject({ code: 0, stdout: expect.stringContaining('1 product put back as before, 0 left.') })
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
