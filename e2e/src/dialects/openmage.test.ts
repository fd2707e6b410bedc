/** The product images of OpenMage: the documentation's own examples, and what its tests ask of every method. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { errors, newImage, openShop, SEED_IMAGE, type Shop } from './openmage.ts'

let shop: Shop
beforeAll(async () => {
  shop = await openShop()
})
afterAll(async () => shop?.[Symbol.asyncDispose]())

const run = promisify(execFile)

/** As somebody would at a prompt. The answer's status is the last line. */
async function curl(method: string, path: string, body?: string): Promise<{ status: number; text: string; location: string }> {
  const sent = body === undefined ? [] : ['--header', 'Content-Type: text/xml', '--data-binary', body]
  const told = ['--silent', '--write-out', '\n%header{location}\n%{http_code}']
  const address = new URL(path, shop.stack.api.url).href
  const { stdout } = await run('curl', [
    ...told,
    '-X',
    method,
    '-H',
    `Authorization: Bearer ${shop.stack.token}`,
    ...sent,
    address,
  ])
  const lines = stdout.split('\n')
  return { status: Number(lines.pop()), location: lines.pop() ?? '', text: lines.join('\n') }
}

const SEED_POST = `<?xml version="1.0"?>
<magento_api>
  <file_mime_type>image/jpeg</file_mime_type>    <file_content>${SEED_IMAGE}</file_content>
</magento_api>`

describe('the examples of the documentation', () => {
  test('POST, twice, and GET: the images are called image and image_2', async () => {
    const images = await shop.newProduct()
    const first = await curl('POST', images, SEED_POST)
    expect(first).toMatchObject({ status: 200, text: '' })
    expect(first.location).toMatch(new RegExp(`^${images}/\\d+$`))
    expect((await curl('POST', images, SEED_POST)).status).toBe(200)

    const { text } = await curl('GET', images)
    const [id, next] = (await shop.listOf(images)).map((image) => image['id'])
    const url = `${new URL(shop.stack.api.url).origin}/media/[\\w-]+/catalog/product/i/m`
    expect(text).toMatch(
      new RegExp(
        `^<\\?xml version="1.0"\\?>
<magento_api>
  <data_item>
    <id>${id}</id>
    <label></label>
    <position>1</position>
    <exclude>0</exclude>
    <url>${url}/image.png</url>
    <types/>
  </data_item>
  <data_item>
    <id>${next}</id>
    <label></label>
    <position>2</position>
    <exclude>0</exclude>
    <url>${url}/image_2.png</url>
    <types/>
  </data_item>
</magento_api>
$`,
      ),
    )
    const bytes = await fetch(/<url>(.*)<\/url>/.exec(text)?.[1] ?? '')
    expect(Buffer.from(await bytes.arrayBuffer()).toString('base64')).toBe(SEED_IMAGE)
  })

  test('PUT with everything, GET of one image, DELETE', async () => {
    const images = await shop.newProduct()
    const image = (await curl('POST', images, SEED_POST)).location
    const put = await curl(
      'PUT',
      image,
      `<?xml version="1.0"?>
<magento_api>
  <label>English store image</label>
  <position>3</position>
  <exclude>0</exclude>
  <types>
      <data_item>image</data_item>
      <data_item>small_image</data_item>
      <data_item>thumbnail</data_item>
   </types>
</magento_api>`,
    )
    expect(put).toEqual({ status: 200, text: '', location: '' })
    const { text } = await curl('GET', image)
    expect(text).toContain(`
  <label>English store image</label>
  <position>3</position>
  <exclude>0</exclude>
`)
    expect(text).toContain(`
  <types>
    <data_item>image</data_item>
    <data_item>small_image</data_item>
    <data_item>thumbnail</data_item>
  </types>
</magento_api>
`)
    expect(await curl('DELETE', image)).toEqual({ status: 200, text: '', location: '' })
    expect((await curl('GET', images)).text).toBe('<?xml version="1.0"?>\n<magento_api/>\n')
    expect((await curl('DELETE', image)).status).toBe(404)
  })

  test('POST and PUT in a store view', async () => {
    const images = await shop.newProduct()
    const { status, location } = await curl('POST', `${images}/store/2`, SEED_POST)
    expect(status).toBe(200)
    expect(location).toMatch(new RegExp(`^${images}/\\d+$`))
    const put = await curl(
      'PUT',
      `${location}/store/2`,
      `<?xml version="1.0"?>
<magento_api>
  <position>3</position>
  <exclude>0</exclude>
  <types>
      <data_item>image</data_item>
   </types>
</magento_api>`,
    )
    expect(put.status).toBe(200)
    const { text } = await curl('GET', `${images}/store/2`)
    expect(text).toContain('<position>3</position>')
    expect(text).toContain('<data_item>image</data_item>')
  })
})

describe('creating an image', () => {
  test('takes every field', async () => {
    const images = await shop.newProduct()
    const image = await shop.addImage(images, {
      file_name: 'new image',
      label: 'Ümlaut & <b>',
      position: 100,
      exclude: 1,
      types: ['thumbnail', 'image', 'unknown'],
      id: 4711,
      url: 'http://elsewhere/',
    })
    const { body } = await shop.send('GET', `${images}/${image}`)
    expect(body).toMatchObject({ id: image, label: 'Ümlaut & <b>', position: 100, exclude: 1, types: ['image', 'thumbnail'] })
    expect(Object.keys(body)).toEqual(['id', 'label', 'position', 'exclude', 'url', 'types'])
    expect(body['url']).toMatch(/\/catalog\/product\/n\/e\/new_image\.png$/)
  })

  test.each([
    ['12.jpg', '/1/2/12.png'],
    ['VE2011', '/V/E/VE2011.png'],
    ['a.jpg', '/a/_/a.png'],
    ['日本.png', '/f/i/file.png'],
    ['a b/c.png', '/a/_/a_b_c.png'],
  ])('names the file %s %s', async (file_name, path) => {
    const images = await shop.newProduct()
    await shop.addImage(images, { file_name })
    const [image] = await shop.listOf(images)
    expect(image?.['url'].endsWith(`catalog/product${path}`)).toBe(true)
  })

  test('takes a single type, and the type from the image that had it', async () => {
    const images = await shop.newProduct()
    await shop.addImage(images, { types: 'image' })
    await shop.addImage(images, { types: ['image'] })
    expect((await shop.listOf(images)).map((image) => image['types'])).toEqual([[], ['image']])
  })

  test('lists three images by their positions', async () => {
    const images = await shop.newProduct()
    for (const position of [20, 30, 10]) await shop.addImage(images, { position })
    expect((await shop.listOf(images)).map((image) => image['position'])).toEqual([10, 20, 30])
    await shop.addImage(images)
    expect((await shop.listOf(images)).at(-1)?.['position']).toBe(31)
  })

  test('takes base64 as PHP does: in lines, and without its padding', async () => {
    const images = await shop.newProduct()
    const { file_content, ...rest } = await newImage()
    const lines = file_content.replace(/.{76}/g, '$&\r\n').replace(/=+$/, '')
    await shop.addImage(images, { ...rest, file_content: lines })
    const xml = `<a><file_content>\n${lines.replaceAll('\r', '&#13;')}</file_content><file_mime_type>image/png</file_mime_type></a>`
    expect((await shop.send('POST', images, { body: xml, type: 'application/xml' })).status).toBe(200)
    expect(await shop.listOf(images)).toHaveLength(2)
  })

  const unspecified = errors([400, 'The image is not specified'], [400, 'Resource data pre-validation error.'])
  const notBase64 = errors([400, 'The image content must be valid base64 encoded data'])
  test.each([
    ['no content', { file_content: undefined }, unspecified],
    ['empty content', { file_content: '' }, unspecified],
    ['no type', { file_mime_type: undefined }, unspecified],
    ['an empty type', { file_mime_type: '' }, unspecified],
    ['Cyrillic content', { file_content: 'кириллица' }, notBase64],
    ['symbols as content', { file_content: '$%^&*()' }, notBase64],
    ['wrong padding', { file_content: 'aGVsbG8==' }, notBase64],
    // PHP decoded this when OpenMage's own test was written, and has refused it since 7.1.
    [
      'what is no image, padded beyond its end',
      { file_content: 'abdbavvghjkdgvfgsydauvsdcfbgdsy321635bhdsisat67832b32y7r82vrdsw==' },
      notBase64,
    ],
    ['a data URI', { file_content: `data:image/png;base64,${SEED_IMAGE}` }, notBase64],
    ['the alphabet of URLs', { file_content: SEED_IMAGE.replaceAll('/', '_') }, notBase64],
    ['another type', { file_mime_type: 'plain/text' }, errors([400, 'Unsupported image MIME type'])],
    ['a type in capitals', { file_mime_type: 'IMAGE/PNG' }, errors([400, 'Unsupported image MIME type'])],
    [
      'a bitmap that says so',
      { file_mime_type: 'image/bmp', file_content: Buffer.from('BM'.padEnd(60, '\0')).toString('base64') },
      errors([400, 'Unsupported image MIME type']),
    ],
    [
      'what is no image',
      { file_content: 'abdbavvghjkdgvfgsydauvsdcfbgdsy321635bhdsisat67832b32y7r82vrdsw=' },
      errors([400, 'Resource unknown error.']),
    ],
    [
      'a position that is out of reach',
      { position: 1e12 },
      errors([400, 'position must not be beyond 1000000000.'], [400, 'Resource data pre-validation error.']),
    ],
  ])('refuses %s', async (_what, fields, said) => {
    const images = await shop.newProduct()
    const answer = await shop.send('POST', images, { body: { ...(await newImage()), ...fields } })
    expect([answer.status, answer.body]).toEqual([400, said])
    expect(await shop.listOf(images)).toEqual([])
  })

  test('refuses an image that cannot be decoded, and says why behind the words that clients know', async () => {
    const whole = await drawSample({ seed: 7, width: 300, height: 300, format: 'png' })
    const file_content = whole.subarray(0, whole.length / 2).toString('base64')
    const { status, body } = await shop.send('POST', await shop.newProduct(), {
      body: { file_content, file_mime_type: 'image/png' },
    })
    expect(status).toBe(400)
    expect(body['messages'].error[0]).toEqual({ code: 400, message: 'Resource unknown error.' })
  })

  test('refuses a product that does not exist, or takes no images, and a store view that does not exist', async () => {
    const body = await newImage()
    const none = await shop.newProduct({ accepts_images: false })
    const paths = [
      ['/api/rest/products/999999/images', 404, 'Resource not found.'],
      ['/api/rest/products/no-such-sku/images', 404, 'Resource not found.'],
      [none, 400, 'Requested product does not support images'],
      [`${await shop.newProduct()}/store/9`, 400, 'Requested store is invalid'],
      [`${await shop.newProduct()}/store/klingon`, 400, 'Requested store is invalid'],
    ] as const
    for (const [path, status, message] of paths) {
      const answer = await shop.send('POST', path, { body })
      expect([path, answer.status, answer.body]).toEqual([path, status, errors([status, message])])
    }
  })

  test('answers a client that will not wait with the address of the ingest', async () => {
    const images = await shop.newProduct()
    const { status, headers } = await shop.send('POST', images, { body: await newImage(), headers: { prefer: 'respond-async' } })
    expect(status).toBe(202)
    expect(await shop.stack.api.finished(headers.get('location') ?? '')).toMatchObject({ state: 'committed' })
    expect(await shop.listOf(images)).toHaveLength(1)
  })

  test('names the product in Location as the client did', async () => {
    const sku = `images/of a sku with a slash ${crypto.randomUUID()}`
    await shop.newProduct({ sku })
    const images = `/api/rest/products/${encodeURIComponent(sku)}/images`
    const { status, headers } = await shop.send('POST', images, { body: await newImage() })
    expect(status).toBe(200)
    expect(headers.get('location')).toMatch(new RegExp(`^${images}/\\d+$`))
    expect((await shop.send('GET', headers.get('location') ?? '')).status).toBe(200)
  })
})

describe('changing an image', () => {
  test('changes only what is passed', async () => {
    const images = await shop.newProduct()
    const path = `${images}/${await shop.addImage(images, { label: 'a', position: 5, types: ['image', 'thumbnail'] })}`
    const before = (await shop.send('GET', path)).body
    for (const [change, after] of [
      [{ label: 'b' }, { label: 'b' }],
      [{ exclude: '1' }, { exclude: 1 }],
      [{ exclude: 'no' }, { exclude: 0 }],
      [{ position: '12 apples' }, { position: 12 }],
      [{ types: ['small_image', 'nonsense'] }, { types: ['small_image'] }],
      [{ types: 'image' }, { types: ['small_image'] }],
      [{ types: [] }, { types: [] }],
      [{ label: null, position: 7 }, { position: 7 }],
    ] as const) {
      expect(await shop.send('PUT', path, { body: change })).toMatchObject({ status: 200, body: { text: '' } })
      Object.assign(before, after)
      expect((await shop.send('GET', path)).body).toEqual(before)
    }
  })

  test('takes an empty element as an empty list', async () => {
    const images = await shop.newProduct()
    const path = `${images}/${await shop.addImage(images, { types: ['image'] })}`
    for (const types of ['<types/>', '<types>\n  </types>']) {
      await shop.send('PUT', path, { body: { types: ['image'] } })
      expect((await shop.send('PUT', path, { body: `<magento_api>${types}</magento_api>`, type: 'text/xml' })).status).toBe(200)
      expect((await shop.send('GET', path)).body['types']).toEqual([])
    }
  })

  test('puts another file behind the same number', async () => {
    const images = await shop.newProduct()
    const path = `${images}/${await shop.addImage(images, { label: 'a', types: ['image'] })}`
    const before = (await shop.send('GET', path)).body
    const jpeg = await drawSample({ seed: 99, width: 30, height: 20, format: 'jpeg' })
    const body = { file_content: jpeg.toString('base64'), file_mime_type: 'image/jpeg', label: 'b', position: 4 }
    expect((await shop.send('PUT', path, { body })).status).toBe(200)
    const after = (await shop.send('GET', path)).body
    expect(after).toEqual({ ...before, label: 'b', position: 4, url: expect.stringMatching(/\/i\/m\/image\.jpg$/) })
    expect(Buffer.from(await (await fetch(after['url'])).arrayBuffer())).toEqual(jpeg)
    expect((await shop.send('PUT', path, { body: { file_content: SEED_IMAGE } })).body).toEqual(
      errors([400, 'The image is not specified'], [400, 'Resource data pre-validation error.']),
    )
  })

  test('refuses what is not there', async () => {
    const images = await shop.newProduct()
    const other = await shop.addImage(await shop.newProduct())
    for (const image of ['999999', 'x', `${other}`, '99999999999999999999'])
      for (const body of [{ label: 'a' }, { file_mime_type: 'image/png' }, { ...(await newImage()) }])
        expect(await shop.send('PUT', `${images}/${image}`, { body })).toMatchObject({
          status: 404,
          body: errors([404, 'Resource not found.']),
        })
  })
})
