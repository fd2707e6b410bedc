/** Elastic Path's files. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerOf, formOf, type Json } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'
import { draw, openShop, query, type Shop } from './elastic-path.ts'
import { errorOf, fileOf, files, filesOf, mainImage, OWNED } from './elastic-path-words.ts'

let stack: Stack
let shop: Shop
const elsewhere = createServer((request, response) => {
  if (request.url === '/page.html') response.setHeader('content-type', 'text/html').end('<p>')
  else response.writeHead(404).end()
})

beforeAll(async () => {
  elsewhere.listen(0, '127.0.0.1')
  await once(elsewhere, 'listening')
  stack = await openStack('embedded', { SLUICE_FETCH_ALLOW: new URL(elsewhereUrl()).host, SLUICE_LIMIT_FILE_BYTES_MAX: '65536' })
  shop = openShop(stack)
})
afterAll(async () => {
  elsewhere.close()
  await stack?.[Symbol.asyncDispose]()
})

function elsewhereUrl(): string {
  const address = elsewhere.address()
  return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
}

const FILE_NOT_FOUND = {
  status: 404,
  title: 'Resource Not Found',
  detail: 'The resource you are requesting does not exist',
}

describe('/v2/files', () => {
  const upload = async (body: RequestInit['body'], headers: Record<string, string> = {}) =>
    answerOf(await stack.api.send('POST', '/v2/files', { body: body ?? null, headers }))
  const locate = async (...locations: readonly string[]) => {
    const form = new FormData()
    for (const location of locations) form.append('file_location', location)
    return upload(form)
  }
  const noFile = { status: 400, title: 'Validation Failed', detail: 'You have not supplied a file to store' }
  const located = (detail: unknown) => ({ status: 422, title: 'file_location invalid', detail })

  test('takes a file and tells what it is', async () => {
    const png = await draw()
    const { status, headers, body } = await upload(formOf(png, { fileName: 'blob', public: 'true' }))
    const { data } = body
    expect(status).toBe(201)
    expect(body).toEqual({
      data: {
        type: 'file',
        id: expect.any(String),
        link: { href: expect.any(String) },
        file_name: 'blob',
        mime_type: 'image/png',
        file_size: png.length,
        meta: { dimensions: { width: 24, height: 16 }, timestamps: { created_at: expect.any(String) } },
        links: { self: `${stack.api.url}/v2/files/${data.id}` },
      },
    })
    expect(headers.get('location')).toBe(data.links.self)
    expect(data.link.href.endsWith(`/${data.id}.png`)).toBe(true)
    const image = await stack.api.send('GET', data.link.href, { token: null })
    expect(Buffer.from(await image.arrayBuffer()).equals(png)).toBe(true)
    expect((await shop.call('GET', `/v2/files/${data.id}`)).body).toEqual(body)
  })

  test('is promised to who would rather not wait', async () => {
    const answer = await upload(formOf(await draw()), { prefer: 'respond-async' })
    expect(answer.status).toBe(202)
    const { result } = await stack.api.finished(answer.headers.get('location') ?? '')
    expect((await shop.call('GET', `/v2/files/${result.file_id}`)).status).toBe(200)
  })

  test('refuses a request that brings no file, or more than one', async () => {
    expect(errorOf(await upload(null))).toEqual(noFile)
    expect(errorOf(await upload(new FormData()))).toEqual(noFile)
    const fields = new FormData()
    fields.set('public', 'true')
    expect(errorOf(await upload(fields))).toEqual(noFile)
    const both = formOf(await draw(), { file_location: 'https://example.com/a.png' })
    expect(errorOf(await upload(both))).toEqual({
      status: 422,
      title: 'Validation Failed',
      detail: 'Give a file or a file_location, not both.',
    })
    const twice = formOf(await draw())
    twice.append('file', new Blob([new Uint8Array(await draw())]), 'b.png')
    expect((await upload(twice)).body['errors'][0]).toMatchObject({ status: 422, title: 'Validation Failed' })
    const elsewhere = new FormData()
    elsewhere.set('image', new Blob([new Uint8Array(await draw())]), 'b.png')
    expect(errorOf(await upload(elsewhere))).toEqual({
      status: 400,
      title: 'Bad Request',
      detail: 'The file must be in the part "file".',
    })
  })

  test('refuses what is no image, an image that is broken, and one that is too large', async () => {
    const failed = (detail: unknown) => ({ status: 422, title: 'Validation Failed', detail })
    expect(errorOf(await upload(formOf(Buffer.from('%PDF-1.7'))))).toEqual(failed(expect.stringContaining('application/pdf')))
    expect(errorOf(await upload(formOf(Buffer.alloc(0))))).toEqual(failed('The file is empty'))
    const whole = await draw()
    expect(errorOf(await upload(formOf(whole.subarray(0, whole.length - 30))))).toEqual(failed(expect.any(String)))
    expect(errorOf(await upload(formOf(Buffer.concat([whole, Buffer.alloc(70_000)]))))).toEqual({
      status: 413,
      title: 'Payload Too Large',
      detail: expect.stringContaining('64 KiB'),
    })
    const json = await upload('{}', { 'content-type': 'application/json' })
    expect(errorOf(json)).toEqual({ status: 415, title: 'Unsupported Media Type', detail: expect.any(String) })
    const staged = await query<{ n: number }>(stack, (sql) => sql`select count(*)::int n from ingests where state = 'failed'`)
    expect(staged).toEqual([{ n: 0 }])
  })

  test('fetches a file from its address, but not from everywhere', async () => {
    expect(errorOf(await locate('@/path/to/file.jpg'))).toEqual(located('@/path/to/file.jpg is not a valid URL'))
    for (const forbidden of ['http://127.0.0.1:1/a.png', 'https://169.254.169.254/latest', 'https://[::1]/a.png'])
      expect(errorOf(await locate(forbidden))).toEqual(located(expect.any(String)))
    expect(errorOf(await locate(`${elsewhereUrl()}/not-there.png`))).toEqual(located(expect.any(String)))
    expect(errorOf(await locate('https://a.example/', 'https://b.example/'))).toEqual(
      located('file_location is given more than once'),
    )
    expect(errorOf(await locate(`https://a.example/${'a'.repeat(3_000)}`))).toEqual(
      located('file_location may have 2048 characters at most'),
    )
    expect(errorOf(await locate(`${elsewhereUrl()}/page.html`))).toEqual({
      status: 422,
      title: 'Validation Failed',
      detail: expect.any(String),
    })
  })

  test('lists by page, in the order in which they came', async () => {
    const ids = [await shop.newFile('page.png'), await shop.newFile('page.png'), await shop.newFile('page.png')]
    const page = async (query: string) => (await shop.call('GET', `/v2/files?filter=eq(file_name,page.png)${query}`)).body
    const all = await page('')
    expect(all['data'].map(({ id }: Json) => id)).toEqual(ids)
    expect(all['meta']).toEqual({ page: { limit: 25, offset: 0, current: 1, total: 1 }, results: { total: 3 } })
    const base = `${stack.api.url}/v2/files`
    const filter = 'filter=eq(file_name,page.png)'
    expect(all['links']).toEqual({
      self: `${base}?page[offset]=0&page[limit]=25&${filter}`,
      first: `${base}?page[offset]=0&page[limit]=25&${filter}`,
      last: null,
    })
    const second = await page('&page[limit]=2&page[offset]=2')
    expect(second['data'].map(({ id }: Json) => id)).toEqual(ids.slice(2))
    expect(second['meta']).toEqual({ page: { limit: 2, offset: 2, current: 2, total: 2 }, results: { total: 3 } })
    expect(second['links'].last).toBe(`${base}?page[offset]=2&page[limit]=2&${filter}`)
    const next = (await page('&page[limit]=2'))['links'].next
    expect((await shop.call('GET', next)).body['data']).toEqual(second['data'])
  })

  test('are filtered by name and size', async () => {
    const name = `Holiday ${randomUUID()}.png`
    const id = await shop.newFile(name)
    const size = (await shop.call('GET', `/v2/files/${id}`)).body['data'].file_size
    const found = async (filter: string) => {
      const { status, body } = await shop.call('GET', `/v2/files?filter=${encodeURIComponent(filter)}`)
      expect([filter, status]).toEqual([filter, 200])
      return body['data'].some((file: Json) => file['id'] === id)
    }
    const like = `like(file_name,${name.slice(0, 20)}*)`
    for (const filter of [`eq(file_name,${name})`, `eq(file_name,"${name}")`, like.toLowerCase(), `${like}:gt(width,23)`])
      expect([filter, await found(filter)]).toEqual([filter, true])
    for (const filter of [`ge(width,24)`, `le(height,16)`, `eq(file_size,${size})`, `lt(file_size,${size + 1})`])
      expect([filter, await found(`${like}:${filter}`)]).toEqual([filter, true])
    for (const filter of [`gt(width,24)`, `lt(height,16)`, `gt(file_size,${size})`, 'eq(file_name,other.png)'])
      expect([filter, await found(`${like}:${filter}`)]).toEqual([filter, false])
    const unparsed = { status: 400, title: 'Bad Request', detail: 'Could not parse the supplied filter' }
    for (const filter of [
      'gt(width,big)',
      'gt(file_name,a)',
      'eq(mime_type,image/png)',
      'in(file_name,a)',
      'eq(width',
      'gt(width,1e3)',
    ])
      expect(errorOf(await shop.call('GET', `/v2/files?filter=${encodeURIComponent(filter)}`))).toEqual(unparsed)
    expect(
      errorOf(await shop.call('GET', `/v2/files?filter=${Array.from({ length: 11 }, () => 'gt(width,1)').join(':')}`)),
    ).toEqual(unparsed)
  })

  test('removes a file, and the images that show it', async () => {
    const product = await shop.newProduct()
    const [main, other] = [await shop.newFile(), await shop.newFile()]
    await shop.call('POST', mainImage(product), fileOf(main))
    await shop.call('POST', files(product), filesOf(other))
    const removed = await stack.api.send('DELETE', `/v2/files/${main}`, {
      body: '{}',
      headers: { 'content-type': 'application/json' },
    })
    expect([removed.status, await removed.text()]).toEqual([204, ''])
    expect([await shop.mainOf(product), await shop.filesOf(product)]).toEqual([null, [other]])
    for (const method of ['GET', 'DELETE']) {
      for (const id of [main, 'no-uuid']) expect(errorOf(await shop.call(method, `/v2/files/${id}`))).toEqual(FILE_NOT_FOUND)
    }
  })

  test('leaves what the organization shows where it is', async () => {
    const { body } = await shop.call('POST', '/v1/products', { sku: randomUUID() })
    const file = await shop.newFile()
    await shop.call('POST', mainImage(body['id']), fileOf(file))
    expect((await shop.call('PATCH', `/v1/products/${body['id']}`, { owner: 'organization' })).status).toBe(200)
    expect(errorOf(await shop.call('DELETE', `/v2/files/${file}`))).toEqual({ ...OWNED, status: 403 })
    expect(await shop.mainOf(body['id'])).toBe(file)
  })
})
