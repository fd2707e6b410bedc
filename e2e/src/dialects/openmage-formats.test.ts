/** The formats and methods of OpenMage's API, and what is sent in them that is no image, no document, or no text. */
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { errors, newImage, openShop, type Sent, type Shop } from './openmage.ts'

const STRINGS = resolve(import.meta.dirname, '../../../../shared/corpora/strings/blns.json')
const FILE_BYTES_MAX = 400_000

let shop: Shop
let images: string
let image: string
beforeAll(async () => {
  shop = await openShop({ SLUICE_LIMIT_FILE_BYTES_MAX: `${FILE_BYTES_MAX}` })
  images = await shop.newProduct()
  image = `${images}/${await shop.addImage(images, { label: 'a & <b>', types: ['image'] })}`
})
afterAll(async () => shop?.[Symbol.asyncDispose]())

const xml = (body: string): Sent => ({ body, type: 'text/xml' })
const escaped = (text: string) => text.replace(/[&<>\r]/g, (character) => `&#${character.charCodeAt(0)};`)

describe('an answer', () => {
  test('is XML by default, JSON or a query when it is asked for', async () => {
    for (const accept of ['*/*', 'text/xml', 'application/xhtml+xml', 'image/png']) {
      const { headers, body } = await shop.send('GET', image, { accept })
      expect(headers.get('content-type')).toBe('application/xml; charset=utf-8')
      expect(body['text']).toContain('<label>a &amp; &lt;b&gt;</label>')
    }
    const json = await shop.send('GET', image, { accept: 'application/json' })
    expect(json.headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(json.body).toMatchObject({ label: 'a & <b>', types: ['image'] })
    const query = await shop.send('GET', image, { accept: 'text/plain' })
    expect(query.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(Object.fromEntries(new URLSearchParams(query.body['text']))).toMatchObject({ label: 'a & <b>', 'types[0]': 'image' })
  })

  test('to a fault is in the same format', async () => {
    const path = `${images}/999999`
    expect((await shop.send('GET', path, { accept: '*/*' })).body['text']).toBe(`<?xml version="1.0"?>
<magento_api>
  <messages>
    <error>
      <data_item>
        <code>404</code>
        <message>Product image not found</message>
      </data_item>
    </error>
  </messages>
</magento_api>
`)
    expect((await shop.send('GET', path)).body).toEqual(errors([404, 'Product image not found']))
    const { text } = (await shop.send('GET', path, { accept: 'text/plain' })).body
    expect([...new URLSearchParams(text).values()]).toEqual(['404', 'Product image not found'])
  })

  test('has the fields that are asked for', async () => {
    for (const query of ['attrs=label,types', 'attrs[]=label&attrs[]=types', 'attrs=types,nonsense,label'])
      expect((await shop.send('GET', `${image}?${query}`)).body).toEqual({ label: 'a & <b>', types: ['image'] })
    expect(Object.keys((await shop.send('GET', `${image}?attrs=`)).body)).toHaveLength(6)
    expect(await shop.listOf(`${images}?attrs=label&page=7&limit=1&order=x`)).toMatchObject([{ label: 'a & <b>' }])
  })
})

describe('a method', () => {
  test.each([
    ['PUT', '', 405],
    ['DELETE', '', 405],
    ['PUT', '/store/1', 405],
    ['POST', '/1', 405],
    ['POST', '/1/store/1', 405],
    ['PATCH', '', 400],
    ['OPTIONS', '/1', 400],
    ['PATCH', '/1/store/1', 400],
  ])('%s for …/images%s is refused with %i', async (method, rest, status) => {
    const answer = await shop.send(method, images + rest, method === 'OPTIONS' ? {} : { body: { label: 'a' } })
    const message = status === 405 ? 'Resource method not implemented yet.' : 'Invalid request method'
    expect([answer.status, answer.body]).toEqual([status, errors([status, message])])
    expect(answer.headers.get('allow')).toBe(rest.startsWith('/1') ? 'DELETE, GET, HEAD, PUT' : 'GET, HEAD, POST')
  })

  test('needs an address that there is, and a version', async () => {
    for (const path of ['/api/rest/products', '/api/rest/products/1', `${image}/store`, `${image}/store/1/x`])
      expect(await shop.send('GET', path)).toMatchObject({
        status: 404,
        body: errors([404, 'Request does not match any route.']),
      })
    expect((await shop.send('GET', images, { headers: { version: '1' } })).status).toBe(200)
    for (const version of ['0', 'x', '1.0'])
      expect(await shop.send('GET', images, { headers: { version } })).toMatchObject({
        status: 400,
        body: errors([400, `Invalid version "${version}" requested.`]),
      })
  })
})

describe('a body', () => {
  test.each([
    ['', 'Content-Type header is empty'],
    ['xml', 'Invalid Content-Type header'],
    ['text/xml; charset=ISO-8859-1', 'UTF-8 is the only supported charset'],
    ['multipart/form-data; boundary=x', 'Server can not understand Content-Type HTTP header media type "multipart/form-data"'],
    ['image/png', 'Server can not understand Content-Type HTTP header media type "image/png"'],
  ])('of the type %j is refused', async (type, message) => {
    for (const [method, path] of [
      ['POST', images],
      ['PUT', image],
    ] as const) {
      const body = new Blob(['<a><label>a</label></a>'], { type: '' })
      const response = await shop.stack.api.send(method, path, {
        body,
        headers: { accept: 'application/json', ...(type && { 'content-type': type }) },
      })
      expect([response.status, await response.json()]).toEqual([400, errors([400, message])])
    }
  })

  test.each([
    ['nothing', { body: '' }, 400, 'The request data is invalid.'],
    ['an empty object', { body: {} }, 400, 'The request data is invalid.'],
    ['an empty document', xml('<magento_api/>'), 400, 'The request data is invalid.'],
    ['fields that nobody knows', { body: { id: 1, url: 'x', __v: 1 } }, 400, 'The request data is invalid.'],
    ['no object', { body: '7' }, 400, 'The request data is invalid.'],
    ['JSON that is none', { body: '{"label":' }, 400, 'Decoding error.'],
    ['a prototype', { body: '{"__proto__":{"label":"a"}}' }, 400, 'Decoding error.'],
    [
      'several images',
      xml('<magento_api><data_item><label>a</label></data_item></magento_api>'),
      405,
      'Resource method not implemented yet.',
    ],
    ['an entity', xml('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a><label>&b;</label></a>'), 400, 'Decoding error.'],
    ['XML that is cut', xml('<magento_api><label>a</label>'), 400, 'Decoding error.'],
    ['a label that is a list', { body: { label: ['a'] } }, 400, 'label must be a text.'],
    ['a label that is too long', { body: { label: 'x'.repeat(1025) } }, 400, 'label must not be longer than 1024 characters.'],
    ['a label with NUL', { body: { label: 'a\0' } }, 400, 'label has a character that cannot be kept.'],
    ['a label with half a pair', { body: '{"label":"\\uD800"}' }, 400, 'label has a character that cannot be kept.'],
    ['a file name that is an object', { body: { file_name: {} } }, 400, 'file_name must be a text.'],
    ['a position that is an object', { body: { position: {} } }, 400, 'position must be an integer.'],
    [
      'more than fits around a file',
      xml(`<a><label>${'x'.repeat(300_000)}</label></a>`),
      413,
      'The body may have 256 KiB apart from its file.',
    ],
  ] as const)('with %s is refused', async (_what, sent, status, message) => {
    const before = await shop.listOf(images)
    for (const [method, path] of [
      ['POST', images],
      ['PUT', image],
    ] as const) {
      const answer = await shop.send(method, path, sent)
      expect([method, answer.status, answer.body['messages'].error[0]]).toEqual([method, status, { code: status, message }])
    }
    expect(await shop.listOf(images)).toEqual(before)
  })

  test('is a query, too, as long as the file is small', async () => {
    const product = await shop.newProduct()
    const query = new URLSearchParams({ ...(await newImage()), label: 'a+b & c', 'types[]': 'image' }).toString()
    const post = await shop.send('POST', product, { body: query, type: 'text/plain' })
    expect(post.status).toBe(200)
    const put = await shop.send('PUT', post.headers.get('location') ?? '', { body: 'position=7&exclude=1', type: 'text/plain' })
    expect(put.status).toBe(200)
    expect(await shop.listOf(product)).toMatchObject([{ label: 'a+b & c', position: 7, exclude: 1, types: ['image'] }])
    const large = await shop.send('POST', product, { body: `file_content=${'A'.repeat(300_000)}`, type: 'text/plain' })
    expect(large.status).toBe(413)
    expect(large.body['messages'].error[0].message).toMatch(/as text\/plain it may have 256 KiB/)
  })

  test('streams its file in XML as it does in JSON, up to the greatest size of one', async () => {
    const product = await shop.newProduct()
    const noise = await drawSample({ seed: 3, width: 320, height: 400, format: 'png' })
    const file = Buffer.concat([noise, Buffer.alloc(Math.max(0, FILE_BYTES_MAX - noise.length))]).toString('base64')
    const tooMuch = Buffer.concat([noise, Buffer.alloc(FILE_BYTES_MAX)]).toString('base64')
    const lines = file.replace(/.{76}/g, '$&&#13;\n')
    const body = (content: string) =>
      xml(`<a><file_content>${content}</file_content><file_mime_type>image/png</file_mime_type></a>`)
    expect((await shop.send('POST', product, body(lines))).status).toBe(200)
    const refused = await shop.send('POST', product, body(tooMuch))
    expect([refused.status, refused.body['messages'].error[0].code]).toEqual([413, 413])
    expect((await shop.send('POST', product, { body: { file_content: tooMuch, file_mime_type: 'image/png' } })).status).toBe(413)
    const [only] = await shop.listOf(product)
    expect((await (await fetch(only?.['url'])).arrayBuffer()).byteLength).toBe(FILE_BYTES_MAX)
  })
})

describe.skipIf(!existsSync(STRINGS))('strings that break things', () => {
  const strings = () => (JSON.parse(readFileSync(STRINGS, 'utf8')) as string[]).filter((text) => text !== '')
  // oxlint-disable-next-line no-control-regex -- what XML 1.0 has no way to say
  const isXmlText = (text: string) => !/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(text)

  test('are labels, in XML and in JSON', async () => {
    const label = async () => (await shop.send('GET', image)).body['label']
    for (const text of strings()) {
      expect((await shop.send('PUT', image, { body: { label: 'before' } })).status).toBe(200)
      const inXml = await shop.send('PUT', image, xml(`<magento_api><label>${escaped(text)}</label></magento_api>`))
      expect([text, inXml.status, await label()]).toEqual([text, isXmlText(text) ? 200 : 400, isXmlText(text) ? text : 'before'])
      expect((await shop.send('PUT', image, { body: { label: text } })).status).toBe(200)
      expect(await label()).toBe(text)
      const shown = (await shop.send('GET', image, { accept: 'text/xml' })).body['text']
      const expected = escaped(text).replace(/&#(38|60|62);/g, named)
      expect([text, shown.includes(`<label>${expected}</label>`)]).toEqual([text, isXmlText(text)])
    }
  })

  test('are file names, of which a path is made', async () => {
    const product = await shop.newProduct()
    const names = strings().filter((text, index) => index % 5 === 0 && text.length <= 255)
    for (const file_name of names) await shop.addImage(product, { file_name })
    const urls = (await shop.listOf(product)).map(({ url }) => new URL(url).pathname.split('/catalog/product/')[1] ?? '')
    expect(new Set(urls).size).toBe(names.length)
    for (const url of urls) expect(url).toMatch(/^[A-Za-z0-9_-]\/[A-Za-z0-9_-]\/[A-Za-z0-9_.-]+\.png$/)
  })

  test('are no products, images or stores', async () => {
    for (const text of strings()) {
      const part = encodeURIComponent(text.toWellFormed())
      for (const path of [`/api/rest/products/${part}/images`, `${images}/${part}`, `${images}/store/${part}`]) {
        const { status, body } = await shop.send('GET', path)
        // An integer may be somebody's number; `.` and `..` are taken out of an address before it is sent.
        expect([path, status]).toEqual([path, expect.toBeOneOf([200, 400, 404])])
        expect(status === 200 || body['messages'].error.length === 1).toBe(true)
      }
    }
  })
})

function named(reference: string): string {
  return { '&#38;': '&amp;', '&#60;': '&lt;', '&#62;': '&gt;' }[reference] ?? reference
}
