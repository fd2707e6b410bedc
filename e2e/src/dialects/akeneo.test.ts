/** Akeneo's media files on the wire: a test for each row of docs/dialects/akeneo.md. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, answerOf, type Json } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'
import { codeIn, draw, fileOf, MEDIA_FILES, nextName, openPim, type Pim, refusal, said, valueOf, violations } from './akeneo.ts'

let stack: Stack
let pim: Pim
let png: Buffer
let dataDir: string

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sluice-e2e-'))
  stack = await openStack('embedded', {
    SLUICE_DATA_DIR: dataDir,
    SLUICE_LIMIT_FILE_BYTES_MAX: '65536',
    SLUICE_PUBLIC_URL: 'https://pim.example',
  })
  pim = await openPim(stack)
  png = await draw()
})
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]()
  await rm(dataDir, { recursive: true, force: true })
})

const URL = 'https://pim.example/api/rest/v1/media-files'
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

const BOUNDARY = '6b01cafe'
const PRODUCT = 'Content-Disposition: form-data; name="product"\r\n'
const MODEL = 'Content-Disposition: form-data; name="product_model"\r\n'
const FILE = 'Content-Disposition: form-data; name="file"; filename="akeneo.png"\r\n'

interface Part {
  readonly head: string
  readonly content: Uint8Array | string
}

/** A form as Akeneo's PHP client writes it: the boundary in quotes, a length in each part. */
function formOf(...parts: readonly Part[]): Buffer {
  const pieces = parts.map(({ head, content }) => {
    const bytes = Buffer.from(content)
    return Buffer.concat([
      Buffer.from(`--${BOUNDARY}\r\n${head}Content-Length: ${bytes.length}\r\n\r\n`),
      bytes,
      Buffer.from('\r\n'),
    ])
  })
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)])
}

async function postForm(...parts: readonly Part[]): Promise<Answer> {
  const headers = { 'content-type': `multipart/form-data; boundary="${BOUNDARY}"` }
  return answerOf(await stack.api.send('POST', MEDIA_FILES, { body: new Uint8Array(formOf(...parts)), headers }))
}

/** A form whose text says the value, with a good file after it. */
const postText = (head: string, text: string) => postForm({ head, content: text }, { head: FILE, content: png })

describe('a new media file', () => {
  test('becomes the value of an attribute of a product', async () => {
    const product = await pim.newProduct()
    const answer = await pim.post(valueOf(product, 'an_image'), fileOf(png, 'a front view.PNG'))
    expect([answer.status, answer.body, answer.headers.get('content-length')]).toEqual([201, { text: '' }, '0'])
    const code = codeIn(answer.headers)
    expect(answer.headers.get('location')).toBe(`${URL}/${code}`)
    expect(code).toMatch(/^([0-9a-f])\/([0-9a-f])\/([0-9a-f])\/([0-9a-f])\/\1\2\3\4[0-9a-f]{36}_a_front_view\.PNG$/)

    const [image, ...rest] = await pim.imagesOf(product)
    expect(rest).toEqual([])
    expect(image).toMatchObject({ name: 'image', label: '', main: false, roles: [], file: { sha256: sha256(png) } })
  })

  test('may come in a form with a quoted boundary and lengths in its parts, the product first or last', async () => {
    for (const order of [1, -1]) {
      const product = await pim.newProduct()
      const parts = [
        { head: PRODUCT, content: JSON.stringify(valueOf(product, 'an_image')) },
        { head: `${FILE}Content-Type: image/png\r\n`, content: png },
      ]
      const answer = await postForm(...(order === 1 ? parts : parts.toReversed()))
      expect([answer.status, answer.body]).toEqual([201, { text: '' }])
      expect((await pim.imagesOf(product)).length).toBe(1)
    }
  })

  test('becomes the value of a product model, which a product of the same code is not', async () => {
    const model = await pim.newProduct({ kind: 'model' })
    const { sku } = model
    const value = { code: sku, attribute: 'an_image', scope: null, locale: null }
    const body = new FormData()
    body.set('file', fileOf(await draw()))
    body.set('product_model', JSON.stringify(value))
    const answer = await answerOf(await stack.api.send('POST', MEDIA_FILES, { body }))
    expect([answer.status, answer.body]).toEqual([201, { text: '' }])
    expect((await pim.imagesOf(model)).length).toBe(1)
    expect(said(await pim.post(valueOf(model, 'an_image'), fileOf(png)))).toEqual(
      refusal(422, `Product "${sku}" does not exist.`),
    )
  })

  test('replaces the value that was there, and leaves all others as they are', async () => {
    const product = await pim.newProduct()
    await pim.created(valueOf(product, 'an_image'), fileOf(await draw()))
    await pim.created(valueOf(product, 'anything'), fileOf(await draw()))
    const before = await pim.imagesOf(product)
    const other = await draw()
    await pim.created(valueOf(product, 'an_image'), fileOf(other, 'other.png'))
    const after = await pim.imagesOf(product)
    expect(after.map(({ id }) => id)).toEqual(before.map(({ id }) => id))
    expect(after[0]?.['file'].sha256).toBe(sha256(other))
    expect(after[1]).toEqual(before[1])
  })

  test('has a value for each channel and each locale', async () => {
    const product = await pim.newProduct()
    const places = [
      ['scoped', 'ecommerce', null],
      ['scoped', 'tablet', null],
      ['localized', null, 'en_US'],
      ['localized', null, 'de_DE'],
      ['both', 'ecommerce', 'fr_FR'],
      ['both', 'tablet', 'de_DE'],
    ] as const
    for (const [attribute, scope, locale] of places)
      await pim.created(valueOf(product, attribute, scope, locale), fileOf(await draw()))
    expect((await pim.imagesOf(product)).length).toBe(places.length)
    for (const [attribute, scope, locale] of places)
      await pim.created(valueOf(product, attribute, scope, locale), fileOf(await draw()))
    expect((await pim.imagesOf(product)).length).toBe(places.length)
  })

  test('is what its attribute stands for, where the value holds everywhere', async () => {
    const product = await pim.newProduct()
    await pim.created(valueOf(product, 'scoped', 'tablet'), fileOf(await draw()))
    await pim.created(valueOf(product, 'localized', null, 'en_US'), fileOf(await draw()))
    expect((await pim.imagesOf(product)).map(({ roles }) => roles)).toEqual([[], []])
    await pim.created(valueOf(product, 'packshot'), fileOf(await draw()))
    await pim.created(valueOf(product, 'thumb'), fileOf(await draw()))
    expect((await pim.imagesOf(product)).map(({ roles, main }) => ({ roles, main }))).toEqual([
      { roles: [], main: false },
      { roles: [], main: false },
      { roles: ['image'], main: true },
      { roles: ['thumbnail'], main: false },
    ])
  })

  test('keeps the code of the same content under the same name, and gets one of its own under another', async () => {
    const content = await draw()
    const [one, two] = [await pim.newProduct(), await pim.newProduct()]
    const code = await pim.created(valueOf(one, 'an_image'), fileOf(content, 'same.png'))
    expect(await pim.created(valueOf(two, 'an_image'), fileOf(content, 'same.png'))).toBe(code)
    expect(await pim.created(valueOf(two, 'an_image'), fileOf(content, 'other.png'))).not.toBe(code)
  })

  test('is answered 202 to a client that would rather not wait', async () => {
    const product = await pim.newProduct()
    const answer = await pim.post(valueOf(product, 'an_image'), fileOf(await draw()), { prefer: 'respond-async' })
    expect([answer.status, answer.headers.get('preference-applied')]).toEqual([202, 'respond-async'])
    expect(await stack.api.finished(answer.headers.get('location') ?? '')).toMatchObject({ state: 'committed' })
    expect((await pim.imagesOf(product)).length).toBe(1)
  })

  test('is done once under one Idempotency-Key', async () => {
    const product = await pim.newProduct()
    const file = fileOf(await draw())
    const key = { 'idempotency-key': nextName() }
    const answers = [
      await pim.post(valueOf(product, 'an_image'), file, key),
      await pim.post(valueOf(product, 'an_image'), file, key),
    ]
    expect(answers.map(({ status }) => status)).toEqual([201, 201])
    expect(new Set(answers.map(({ headers }) => headers.get('location'))).size).toBe(1)
    expect(said(await pim.post(valueOf(product, 'anything'), file, key))).toEqual(
      refusal(422, 'The Idempotency-Key was used for another request'),
    )
  })
})

describe('a form that is refused', () => {
  const AS_JSON = '"multipart/form-data"'

  test.each([
    [undefined, `The "Content-Type" header is missing. ${AS_JSON} has to be specified as value.`],
    ['application/json', `"application/json" in "Content-Type" header is not valid. Only ${AS_JSON} is allowed.`],
    ['text/plain; charset=utf-8', `"text/plain" in "Content-Type" header is not valid. Only ${AS_JSON} is allowed.`],
  ])('415 for the Content-Type %s', async (type, message) => {
    const body = new Uint8Array(Buffer.from('{"file":"string","product":"string"}'))
    expect(
      said(
        await answerOf(
          await stack.api.send('POST', MEDIA_FILES, { body, headers: type === undefined ? {} : { 'content-type': type } }),
        ),
      ),
    ).toEqual(refusal(415, message))
  })

  test('422 for a product and a model at once, and for neither', async () => {
    const text = JSON.stringify(valueOf(await pim.newProduct(), 'an_image'))
    expect(
      said(await postForm({ head: PRODUCT, content: text }, { head: MODEL, content: text }, { head: FILE, content: png })),
    ).toEqual(refusal(422, 'You should give either a "product" or a "product_model" key.'))
    expect(said(await postForm({ head: FILE, content: png }))).toEqual(
      refusal(422, 'You should at least give one of the following properties: "product" or "product_model".'),
    )
  })

  test.each(['', 'null', '{', '{"identifier"', '{"__proto__":{}}', '\u0000'])('400 for the product %j', async (text) => {
    expect(said(await postText(PRODUCT, text))).toEqual(refusal(400, 'Invalid json message received'))
    expect(said(await postText(MODEL, text))).toEqual(refusal(400, 'Invalid json message received'))
  })

  test.each([
    ['Product', PRODUCT, 'identifier'],
    ['Product model', MODEL, 'code'],
  ])('422 for a %s without all of its keys, or with others than texts', async (title, head, key) => {
    const good = { [key]: 'x', attribute: 'an_image', scope: null, locale: null }
    const bad: unknown[] = [[], 'text', 7, { ...good, [key]: null }, { ...good, attribute: null }]
    for (const name of Object.keys(good))
      for (const value of [undefined, 7, ['x'], { x: 1 }]) bad.push({ ...good, [name]: value })
    for (const value of bad) {
      expect(said(await postText(head, JSON.stringify(value)))).toEqual(
        refusal(422, `${title} property must contain "${key}", "attribute", "locale" and "scope" properties.`),
      )
    }
  })

  test('422 for a product or a model that does not exist', async () => {
    for (const name of ['nobody', '', 'NUL \u0000', 'half \ud800', 'x'.repeat(5_000)]) {
      expect(said(await postText(PRODUCT, JSON.stringify(valueOf({ sku: name }, 'an_image'))))).toEqual(
        refusal(422, `Product "${name}" does not exist.`),
      )
      const model = { code: name, attribute: 'an_image', scope: null, locale: null }
      expect(said(await postText(MODEL, JSON.stringify(model)))).toEqual(refusal(422, `Product model "${name}" does not exist.`))
    }
  })

  test('422 for no file, and for a text that is called file', async () => {
    const content = JSON.stringify(valueOf(await pim.newProduct(), 'an_image'))
    expect(said(await postForm({ head: PRODUCT, content }))).toEqual(refusal(422, 'Property "file" is required.'))
    const text = { head: 'Content-Disposition: form-data; name="file"\r\n', content: png }
    expect(said(await postForm({ head: PRODUCT, content }, text))).toEqual(refusal(422, 'Property "file" is required.'))
  })

  test('400 for what is no form', async () => {
    const headers = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` }
    const cut = formOf({ head: FILE, content: png }).subarray(0, 200)
    const answer = await answerOf(await stack.api.send('POST', MEDIA_FILES, { body: new Uint8Array(cut), headers }))
    expect(said(answer)).toEqual(refusal(400, 'The body is not valid multipart/form-data'))
  })

  test('413 for a file that is larger than all that is taken', async () => {
    const answer = await pim.post(valueOf(await pim.newProduct(), 'an_image'), fileOf(Buffer.concat([png, Buffer.alloc(65_536)])))
    expect(said(answer)).toEqual(refusal(413, 'The file is larger than 64 KiB.'))
  })

  test('401 without a token, with a wrong one, and with another scheme', async () => {
    for (const authorization of [undefined, 'Bearer wrong', `Basic ${stack.token}`, stack.token]) {
      const headers = authorization === undefined ? {} : { authorization }
      const answer = await answerOf(await stack.api.send('POST', MEDIA_FILES, { token: null, headers }))
      expect(said(answer)).toEqual(refusal(401, 'Authentication is required'))
      expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    }
  })

  test('403 for a reader, and for what belongs to the organization', async () => {
    const FORBIDDEN = 'Access forbidden. You are not allowed to create or update products.'
    const product = await pim.newProduct()
    const asReader = await pim.post(valueOf(product, 'an_image'), fileOf(png), { authorization: `Bearer ${pim.reader.secret}` })
    expect(said(asReader)).toEqual(refusal(403, FORBIDDEN))
    expect(await pim.imagesOf(product)).toEqual([])
    const owned = await pim.newProduct({ owner: 'organization' })
    expect(said(await pim.post(valueOf(owned, 'an_image'), fileOf(await draw())))).toEqual(refusal(403, FORBIDDEN))
  })
})

async function stagedFiles(): Promise<readonly string[]> {
  const places = await readdir(dataDir, { recursive: true, withFileTypes: true })
  const staged = places.filter((place) => place.isFile() && `${place.parentPath}/`.includes('/staged/'))
  return staged.map(({ name }) => name)
}

describe('a value that is refused', () => {
  test('422 for an attribute that does not exist', async () => {
    for (const attribute of ['not_found', '', 'NUL \u0000', 'x'.repeat(5_000)]) {
      expect(said(await pim.post(valueOf(await pim.newProduct(), attribute), fileOf(png)))).toEqual(
        refusal(422, `The ${attribute} attribute does not exist in your PIM.`),
      )
    }
  })

  test.each([
    ['scoped', 'X', null, ['Attribute "scoped" expects an existing scope, "X" given.']],
    ['scoped', null, null, ['Attribute "scoped" expects a scope, none given.']],
    ['an_image', 'tablet', null, ['Attribute "an_image" does not expect a scope, "tablet" given.']],
    ['localized', null, 'X', ['Attribute "localized" expects an existing and activated locale, "X" given.']],
    ['localized', null, null, ['Attribute "localized" expects a locale, none given.']],
    ['an_image', null, 'en_US', ['Attribute "an_image" does not expect a locale, "en_US" given.']],
    ['both', 'tablet', 'en_US', ['Attribute "both" expects an existing and activated locale, "en_US" given.']],
    [
      'both',
      'X',
      'Y',
      [
        'Attribute "both" expects an existing scope, "X" given.',
        'Attribute "both" expects an existing and activated locale, "Y" given.',
      ],
    ],
  ])('422 for %s in channel %s and locale %s', async (attribute, scope, locale, messages) => {
    const value = valueOf(await pim.newProduct(), attribute, scope, locale)
    expect(said(await pim.post(value, fileOf(png)))).toEqual(violations(value, ...messages))
  })

  test('422 for an extension that the attribute does not allow', async () => {
    const value = valueOf(await pim.newProduct(), 'an_image')
    const refusal = (extension: string) =>
      `The ${extension} file extension is not allowed for the an_image attribute. Allowed extensions are jpg, gif, png.`
    expect(said(await pim.post(value, fileOf('hello', 'akeneo.txt', 'text/plain')))).toEqual(violations(value, refusal('txt')))
    expect(said(await pim.post(value, fileOf(await draw('webp'), 'akeneo.WebP')))).toEqual(violations(value, refusal('webp')))
    expect(said(await pim.post(value, fileOf(png, 'akeneo')))).toEqual(violations(value, refusal('')))
  })

  test('422 for content that is not what its extension says, wherever the file stands in the form', async () => {
    const value = valueOf(await pim.newProduct(), 'an_image')
    const refusal = (found: string) => `The MIME type is not allowed for jpg (allowed types: image/jpeg, found ${found}).`
    const contents = [
      ['hello', 'text/plain'],
      ['h\u00e9'.repeat(3_000), 'text/plain'],
      [Buffer.from([0xff, 0, 1, 2]), 'application/octet-stream'],
      ['', 'application/x-empty'],
      [png, 'image/png'],
    ] as const
    for (const [content, found] of contents) {
      expect(said(await pim.post(value, fileOf(content, 'akeneo.jpg', 'image/jpeg')))).toEqual(violations(value, refusal(found)))
      const fileFirst = await postForm(
        { head: FILE.replace('akeneo.png', 'akeneo.jpg'), content },
        { head: PRODUCT, content: JSON.stringify(value) },
      )
      expect(said(fileFirst)).toEqual(violations(value, refusal(found)))
    }
  })

  test('422 for what is no image, though the attribute names no extensions', async () => {
    const value = valueOf(await pim.newProduct(), 'anything')
    const accepted = 'Accepted are image/jpeg, image/png, image/webp, image/gif, image/avif.'
    expect(said(await pim.post(value, fileOf('hello', 'akeneo.txt')))).toEqual(
      violations(value, `The content of the file is no image type that we know. ${accepted}`),
    )
    expect(said(await pim.post(value, fileOf('')))).toEqual(violations(value, 'The file is empty'))
    await pim.created(value, fileOf(await draw('webp'), 'akeneo.jpg'))
  })

  test('422 for a file that is larger than the attribute allows', async () => {
    const value = valueOf(await pim.newProduct(), 'small')
    const large = Buffer.concat([png, Buffer.alloc(30_000)])
    expect(said(await pim.post(value, fileOf(large)))).toEqual(
      violations(value, `The file is too large (${Math.round(large.length / 10) / 100} kB). Allowed maximum size is 0.2 kB.`),
    )
  })

  test('422 for an image that cannot be decoded, and for a product that takes none', async () => {
    const value = valueOf(await pim.newProduct(), 'an_image')
    const answer = await pim.post(value, fileOf(png.subarray(0, png.length - 20)))
    expect(answer.body).toMatchObject({
      code: 422,
      message: 'Validation failed.',
      errors: [{ property: 'values', attribute: 'an_image' }],
    })
    expect(answer.body['errors'][0].message).toMatch(/image/i)
    const without = valueOf(await pim.newProduct({ accepts_images: false }), 'an_image')
    expect(said(await pim.post(without, fileOf(png)))).toEqual(violations(without, 'The product does not take images'))
  })

  test('leaves no file, no image and no staged bytes behind', async () => {
    const product = await pim.newProduct()
    const before = await pim.countFiles()
    await pim.post(valueOf(product, 'not_found'), fileOf(await draw()))
    await pim.post(valueOf({ sku: 'nobody' }, 'an_image'), fileOf(await draw()))
    await pim.post(valueOf(product, 'scoped'), fileOf(await draw()))
    await pim.post(valueOf(product, 'an_image'), fileOf(await draw(), 'akeneo.jpg'))
    await pim.post(valueOf(product, 'an_image'), fileOf((await draw()).subarray(0, 90)))
    expect(await pim.countFiles()).toBe(before)
    expect(await pim.imagesOf(product)).toEqual([])
    // What the pipeline refuses it removes by itself, behind the answer.
    await expect.poll(stagedFiles).toEqual([])
  })
})

describe('one media file', () => {
  test('is told by its code, whether its slashes are written or encoded, and after two of them', async () => {
    const code = await pim.created(valueOf(await pim.newProduct(), 'an_image'), fileOf(png, 'akeneo.png'))
    const answer = await pim.get(`${MEDIA_FILES}/${code}`, { accept: 'application/json' })
    expect([answer.status, JSON.stringify(answer.body)]).toEqual([
      200,
      JSON.stringify({
        code,
        original_filename: 'akeneo.png',
        mime_type: 'image/png',
        size: png.length,
        extension: 'png',
        _links: { download: { href: `${URL}/${code}/download` } },
      }),
    ])
    for (const path of [encodeURIComponent(code), `/${code}`])
      expect((await pim.get(`${MEDIA_FILES}/${path}`)).body).toEqual(answer.body)
  })

  test('404 for a code that nobody has, or another tenant', async () => {
    const code = await pim.created(valueOf(await pim.newProduct(), 'an_image'), fileOf(png, 'akeneo.png'))
    for (const unknown of ['a/b/c/d/nothing.png', 'x', 'NUL\u0000', '%']) {
      const path = `${MEDIA_FILES}/${encodeURIComponent(unknown)}`
      expect(said(await pim.get(path))).toEqual(refusal(404, `Media file "${unknown}" does not exist.`))
      expect(said(await pim.get(`${path}/download`))).toEqual(refusal(404, `Media file "${unknown}" does not exist.`))
    }
    const authorization = `Bearer ${pim.stranger.secret}`
    expect(said(await pim.get(`${MEDIA_FILES}/${code}`, { authorization }))).toEqual(
      refusal(404, `Media file "${code}" does not exist.`),
    )
  })

  test('is downloaded as the attachment that it was', async () => {
    for (const [name, disposition] of [
      ['akeneo.png', 'attachment; filename="akeneo.png"'],
      ['a front view.png', 'attachment; filename="a front view.png"'],
      ['été.png', 'attachment; filename="?t?.png"; filename*=UTF-8\'\'%C3%A9t%C3%A9.png'],
    ] as const) {
      const code = await pim.created(valueOf(await pim.newProduct(), 'an_image'), fileOf(png, name))
      const response = await stack.api.send('GET', `${MEDIA_FILES}/${code}/download`, { headers: { accept: '*/*' } })
      expect([response.status, response.headers.get('content-type')]).toEqual([200, 'image/png'])
      expect(response.headers.get('content-disposition')).toBe(disposition)
      expect(Buffer.from(await response.arrayBuffer())).toEqual(png)
    }
  })

  test('is downloaded whatever the client accepts', async () => {
    const code = await pim.created(valueOf(await pim.newProduct(), 'an_image'), fileOf(png, 'akeneo.png'))
    const response = await stack.api.send('GET', `${MEDIA_FILES}/${code}/download`, { headers: { accept: 'text/html' } })
    expect([response.status, (await response.arrayBuffer()).byteLength]).toEqual([200, png.length])
  })

  test('404 for the download of bytes that the store has lost', async () => {
    const content = await draw()
    const code = await pim.created(valueOf(await pim.newProduct(), 'an_image'), fileOf(content))
    const places = await readdir(dataDir, { recursive: true, withFileTypes: true })
    for (const { parentPath, name } of places.filter((place) => place.name.startsWith(sha256(content))))
      await rm(join(parentPath, name), { recursive: true, force: true })
    const answer = await pim.get(`${MEDIA_FILES}/${code}/download`)
    expect(said(answer)).toEqual(refusal(404, `Media file "${code}" is not present on the filesystem.`))
  })

  test.each(['application/xml', 'text/html', 'image/*'])('406 for a client that accepts %s only', async (accept) => {
    const message = `"${accept}" in "Accept" header is not valid. Only "application/json" is allowed.`
    expect(said(await pim.get(`${MEDIA_FILES}/any`, { accept }))).toEqual(refusal(406, message))
    expect(said(await pim.get(MEDIA_FILES, { accept }))).toEqual(refusal(406, message))
  })

  test.each(['application/json', '*/*', 'text/html, */*;q=0.1', 'application/json; q=0.9, text/plain'])(
    'is told to a client that accepts %s',
    async (accept) => {
      expect((await pim.get(MEDIA_FILES, { accept })).status).toBe(200)
    },
  )
})

describe('the list of media files', () => {
  async function fill(count: number): Promise<void> {
    for (let n = await pim.countFiles(); n < count; n++)
      await pim.created(valueOf(await pim.newProduct(), 'anything'), fileOf(await draw(), `file-${n}.png`))
  }

  test('goes from page to page in the order in which the files were stored', async () => {
    await fill(25)
    const total = await pim.countFiles()
    const codes: string[] = []
    let href = `${URL}?limit=10`
    for (let page = 1; href; page++) {
      const { body } = await pim.get(href.replace('https://pim.example', ''))
      const at = (n: number) => ({ href: `${URL}?page=${n}&limit=10&with_count=false` })
      const isFull = body['_embedded'].items.length === 10
      expect(body['_links']).toEqual({
        self: at(page),
        first: at(1),
        ...(page > 1 && { previous: at(page - 1) }),
        ...(isFull && { next: at(page + 1) }),
      })
      expect([body['current_page'], 'items_count' in body]).toEqual([page, false])
      codes.push(...body['_embedded'].items.map((item: Json) => item['code']))
      href = body['_links'].next?.href ?? ''
    }
    expect([codes.length, new Set(codes).size]).toEqual([total, total])

    const last = await pim.created(valueOf(await pim.newProduct(), 'anything'), fileOf(await draw(), 'newest.png'))
    const { body } = await pim.get(`${MEDIA_FILES}?limit=100`)
    expect(body['_embedded'].items.map((item: Json) => item['code'])).toEqual([...codes, last])
  })

  test('has the members of an item in their order', async () => {
    const { body } = await pim.get(`${MEDIA_FILES}?limit=1`)
    const [item] = body['_embedded'].items
    const self = `${URL}/${item.code}`
    expect(Object.keys(item)).toEqual(['_links', 'code', 'original_filename', 'mime_type', 'size', 'extension'])
    expect(item['_links']).toEqual({ self: { href: self }, download: { href: `${self}/download` } })
    expect(Object.keys(body)).toEqual(['_links', 'current_page', '_embedded'])
  })

  test('counts when it is asked to', async () => {
    const { body } = await pim.get(`${MEDIA_FILES}?with_count=true&limit=2`)
    expect(body['items_count']).toBe(await pim.countFiles())
    expect(body['_links'].self.href).toBe(`${URL}?page=1&limit=2&with_count=true`)
  })

  test('is empty beyond its end', async () => {
    for (const page of [1_000, 1_000_000_000]) {
      const { status, body } = await pim.get(`${MEDIA_FILES}?page=${page}`)
      expect([status, body['_embedded'].items, body['current_page']]).toEqual([200, [], page])
      expect(Object.keys(body['_links'])).toEqual(['self', 'first', 'previous'])
    }
  })

  test('tells files that other APIs have brought, under names of their own where they had none', async () => {
    const content = await draw('gif')
    const headers = { 'content-type': 'image/gif', prefer: 'wait=60' }
    expect((await stack.api.send('POST', '/v1/files', { body: new Uint8Array(content), headers })).status).toBe(201)
    const { body } = await pim.get(`${MEDIA_FILES}?limit=100`)
    expect(body['_embedded'].items.at(-1)).toMatchObject({
      original_filename: 'image.gif',
      mime_type: 'image/gif',
      size: content.length,
      extension: 'gif',
    })
  })

  test('shows nothing of other tenants', async () => {
    const { body } = await pim.get(`${MEDIA_FILES}?with_count=true`, { authorization: `Bearer ${pim.stranger.secret}` })
    expect([body['items_count'], body['_embedded'].items]).toEqual([0, []])
  })

  test.each([
    ['limit=abc', '"abc" is not a valid limit number.'],
    ['limit=0', '"0" is not a valid limit number.'],
    ['limit=-1', '"-1" is not a valid limit number.'],
    ['limit=1.5', '"1.5" is not a valid limit number.'],
    ['limit=', '"" is not a valid limit number.'],
    ['limit=101', 'You cannot request more than 100 items.'],
    ['page=abc', '"abc" is not a valid page number.'],
    ['page=0', '"0" is not a valid page number.'],
    ['page=99999999999999999999', '"99999999999999999999" is not a valid page number.'],
    ['with_count=1', 'Parameter "with_count" has to be a boolean. Only "true" or "false" allowed, "1" given.'],
    ['with_count=1&page=0&limit=0', '"0" is not a valid limit number.'],
    ['with_count=1&page=0', '"0" is not a valid page number.'],
    ['limit=5&limit=x', '"x" is not a valid limit number.'],
    ['pagination_type=search_after', 'Pagination type is not supported.'],
    ['pagination_type=other', 'Pagination type does not exist.'],
  ])('422 for %s', async (query, message) => {
    expect(said(await pim.get(`${MEDIA_FILES}?${query}`))).toEqual(refusal(422, message))
  })

  test('is open to readers, and closed to who has no token', async () => {
    expect((await pim.get(MEDIA_FILES, { authorization: `Bearer ${pim.reader.secret}` })).status).toBe(200)
    const answer = await answerOf(await stack.api.send('GET', MEDIA_FILES, { token: null }))
    expect(said(answer)).toEqual(refusal(401, 'Authentication is required'))
  })
})

describe('addresses and methods', () => {
  test.each([
    ['DELETE', MEDIA_FILES, 'GET, HEAD, POST'],
    ['PATCH', `${MEDIA_FILES}/a/b/c`, 'GET, HEAD'],
    ['GET', '/api/oauth/v1/token', 'POST'],
  ])('405 for %s %s', async (method, path, allow) => {
    const answer = await answerOf(await stack.api.send(method, path))
    expect(said(answer)).toEqual(refusal(405, `No route found for '${method} ${path}': Method Not Allowed (Allow: ${allow})`))
    expect(answer.headers.get('allow')).toBe(allow)
  })

  test('404 for what is not there', async () => {
    for (const path of ['/api/rest/v1', '/api/rest/v1/products', '/api/oauth/v1']) {
      const answer = await pim.get(path)
      expect(said(answer)).toEqual(refusal(404, `No route found for 'GET ${path}'`))
      expect(answer.headers.get('content-type')).toContain('application/json')
    }
  })
})

const STRINGS = resolve(import.meta.dirname, '../../../../shared/corpora/strings/blns.json')

describe.skipIf(!existsSync(STRINGS))('naughty strings (skipped without ../shared/corpora)', () => {
  const strings = existsSync(STRINGS) ? (JSON.parse(readFileSync(STRINGS, 'utf8')) as string[]) : []

  async function inTurns(use: (text: string) => Promise<void>): Promise<void> {
    expect(strings.length).toBeGreaterThan(400)
    for (let from = 0; from < strings.length; from += 16) await Promise.all(strings.slice(from, from + 16).map(use))
  }

  test('as identifiers and attributes of nobody come back as they were', async () => {
    const product = await pim.newProduct()
    await inTurns(async (text) => {
      expect(said(await pim.post(valueOf({ sku: text }, 'anything')))).toEqual(refusal(422, `Product "${text}" does not exist.`))
      expect(said(await pim.post(valueOf(product, text), fileOf(png)))).toEqual(
        refusal(422, `The ${text} attribute does not exist in your PIM.`),
      )
    })
  })

  test('as names of files are made safe, and lead to the file', async () => {
    const product = await pim.newProduct()
    const refused: string[] = []
    await inTurns(async (text) => {
      const answer = await pim.post(valueOf(product, 'anything'), fileOf(png, text))
      if (answer.status === 422) {
        refused.push(text)
        return
      }
      const path = `${MEDIA_FILES}/${codeIn(answer.headers)}`
      const { status, body } = await pim.get(path)
      expect([text, answer.status, status, body['original_filename']]).toEqual([
        text,
        201,
        200,
        expect.stringMatching(/^[^\p{Cc}/\\]+$/u),
      ])
      const download = await stack.api.send('GET', `${path}/download`)
      expect([text, download.status, (await download.arrayBuffer()).byteLength]).toEqual([text, 200, png.length])
    })
    // Of a path without a name nothing is left, and a part without a name is no file.
    expect(refused.filter((text) => !/[/\\]$|^\.?$/.test(text))).toEqual([])
  })
})
