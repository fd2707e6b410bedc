/** node-akeneo-api as it is, and curl: every call of theirs that these routes answer. */
import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerOf, type Json } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'
import { draw, fileOf, MEDIA_FILES, openPim, type Pim, TOKEN, valueOf } from './akeneo.ts'

let stack: Stack
let pim: Pim
let directory: string
let photo: string
let png: Buffer

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sluice-akeneo-'))
  stack = await openStack('embedded')
  pim = await openPim(stack)
  png = await draw()
  photo = join(directory, 'front_view.png')
  await writeFile(photo, png)
})
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

/** What the client made of its call. */
async function client(...task: readonly string[]): Promise<{ readonly result?: any; readonly error?: string }> {
  const child = fork(new URL('./akeneo-client-child.ts', import.meta.url), task, {
    silent: true,
    timeout: 30_000,
    env: {
      ...process.env,
      AKENEO_BASE_URL: stack.api.url.replace(/\/$/, ''),
      AKENEO_CLIENT_ID: pim.reader.id,
      AKENEO_SECRET: pim.reader.secret,
      AKENEO_USERNAME: pim.writer.name,
      AKENEO_PASSWORD: pim.writer.secret,
      AKENEO_EXPORT_PATH: directory,
    },
  })
  const said = once(child, 'message')
  const ended = once(child, 'exit').then(([code]) => [{ error: `ended with ${code} and no result` }])
  const [message] = await Promise.race([said, ended])
  await ended
  return message
}

describe('node-akeneo-api', () => {
  test('uploads to a product, the file before the product, and learns the address', async () => {
    const product = await pim.newProduct()
    const { result, error } = await client('upload', photo, JSON.stringify(valueOf(product, 'packshot')))
    expect(error).toBeUndefined()
    expect(result).toMatch(/^http:\/\/[^/]+\/api\/rest\/v1\/media-files\/.+_front_view\.png$/)
    const [image] = await pim.imagesOf(product)
    expect(image).toMatchObject({ main: true, file: { bytes: png.length, name: 'front_view.png' } })
  })

  test('uploads to a product model', async () => {
    const model = await pim.newProduct({ kind: 'model' })
    const value = { code: model.sku, attribute: 'scoped', scope: 'tablet', locale: null }
    expect((await client('upload', photo, JSON.stringify(value))).error).toBeUndefined()
    expect((await pim.imagesOf(model)).length).toBe(1)
  })

  test('is told when an upload is refused', async () => {
    const { error } = await client('upload', photo, JSON.stringify(valueOf(await pim.newProduct(), 'not_found')))
    expect(error).toContain('422: Unprocessable')
  })

  test('reads the list to its end, over more than one page', async () => {
    const product = await pim.newProduct()
    const codes: string[] = []
    for (let n = await pim.countFiles(); n < 105; n++)
      codes.push(await pim.created(valueOf(product, 'anything'), fileOf(await draw(), `${n}.png`)))
    const { result } = await client('get', MEDIA_FILES)
    const seen = result.map(({ code }: Json) => code)
    expect([seen.length, new Set(seen).size]).toEqual([105, 105])
    expect(seen).toEqual(expect.arrayContaining(codes))
    expect(result.at(-1)).toEqual({
      code: codes.at(-1),
      original_filename: '104.png',
      mime_type: 'image/png',
      size: expect.any(Number),
      extension: 'png',
    })
  })

  test('exports the list to a file', async () => {
    expect((await client('export')).result).toEqual({ status: 'OK' })
    const lines = (await readFile(join(directory, 'productMediaFiles.vac'), 'utf8')).trim().split('\n')
    expect(lines.length).toBe(await pim.countFiles())
  })

  test('downloads what it has uploaded', async () => {
    const { result: location } = await client('upload', photo, JSON.stringify(valueOf(await pim.newProduct(), 'an_image')))
    const code = location.slice(location.indexOf(MEDIA_FILES) + MEDIA_FILES.length + 1)
    expect((await client('download', code, `${location}/download`)).result).toEqual({ status: 'OK' })
    const [path = '', name = ''] = [code.slice(0, code.indexOf('_')), code.slice(code.indexOf('_') + 1)]
    expect(await readFile(join(directory, path, name))).toEqual(png)
  })
})

describe('curl', () => {
  const run = promisify(execFile)

  async function curl(
    ...options: readonly string[]
  ): Promise<{ readonly status: number; readonly headers: string; readonly body: string }> {
    const { stdout } = await run('curl', ['--silent', '--include', '--max-time', '30', ...options])
    const [headers = '', ...body] = stdout.replace(/^HTTP\/1\.1 100 [^]*?\r\n\r\n/, '').split('\r\n\r\n')
    return { status: Number(headers.split(' ')[1]), headers, body: body.join('\r\n\r\n') }
  }
  const at = (path: string) => new URL(path, stack.api.url).href

  test('does what docs/dialects/akeneo.md says, as it stands there', async () => {
    const text = await readFile(resolve(import.meta.dirname, '../../../docs/dialects/akeneo.md'), 'utf8')
    const commands = [...text.matchAll(/```sh\n(curl [^]*?)```/g)].map(([, command = '']) => command)
    expect(commands.length).toBe(3)
    const product = await pim.newProduct()
    // A refusal is a failure of the command.
    await writeFile(join(directory, '.curlrc'), 'silent\nfail\nmax-time = 30\n')
    const { id, name, secret } = pim.writer
    const answers: string[] = []
    for (const command of commands) {
      const local = command
        .replaceAll('http://127.0.0.1:8080', stack.api.url.replace(/\/$/, ''))
        .replaceAll('"akeneo"', JSON.stringify(name))
        .replaceAll('my-sku', product.sku)
      const env = { ...process.env, CURL_HOME: directory, ID: id, SECRET: secret, ADMIN: stack.token }
      answers.push((await run('sh', ['-e', '-c', local], { cwd: directory, env })).stdout)
    }
    expect(JSON.parse(answers[0] ?? '')).toMatchObject({ token_type: 'bearer', expires_in: 3600 })
    expect((await pim.imagesOf(product)).map(({ main }) => main)).toEqual([true])
  })

  test('gets a token, uploads, reads and downloads', async () => {
    const credentials = Buffer.from(`${pim.reader.id}:${pim.reader.secret}`).toString('base64')
    const grant = await curl(
      at(TOKEN),
      '--header',
      `Authorization: Basic ${credentials}`,
      '--header',
      'Content-Type: application/json',
      '--data',
      JSON.stringify({ grant_type: 'password', username: pim.writer.name, password: pim.writer.secret }),
    )
    expect(grant.status).toBe(200)
    const bearer = ['--header', `Authorization: Bearer ${(JSON.parse(grant.body) as Json)['access_token']}`]

    const product = await pim.newProduct()
    const upload = await curl(
      '--request',
      'POST',
      at(MEDIA_FILES),
      ...bearer,
      '--form',
      `product=${JSON.stringify(valueOf(product, 'packshot'))}`,
      '--form',
      `file=@${photo}`,
    )
    expect([upload.status, upload.body]).toEqual([201, ''])
    const location = /^location: (.+)$/im.exec(upload.headers)?.[1]?.trim() ?? ''

    const read = await curl(location, ...bearer)
    expect([read.status, JSON.parse(read.body)]).toEqual([200, expect.objectContaining({ original_filename: 'front_view.png' })])
    const saved = join(directory, 'saved.png')
    await run('curl', ['--silent', '--fail', '--output', saved, ...bearer, `${location}/download`])
    expect(await readFile(saved)).toEqual(png)
  })

  test('is told that the example of the documentation, whose body is JSON, is of the wrong type', async () => {
    const { status, body } = await curl(
      '--location',
      '--request',
      'POST',
      at(MEDIA_FILES),
      '--header',
      `Authorization: Bearer ${stack.token}`,
      '--header',
      'Content-type: application/json',
      '--data-raw',
      '{\n    "file": "string",\n    "product": "string",\n    "product_model": "string"\n}',
    )
    expect([status, JSON.parse(body)]).toEqual([
      415,
      { code: 415, message: '"application/json" in "Content-Type" header is not valid. Only "multipart/form-data" is allowed.' },
    ])
  })
})

test('32 uploads for one value at once are all taken, and one of them is the value', async () => {
  const product = await pim.newProduct()
  const files = await Promise.all(Array.from({ length: 32 }, async (_, n) => fileOf(await draw(), `${n}.png`)))
  const answers = await Promise.all(files.map((file) => pim.post(valueOf(product, 'packshot'), file)))
  expect(answers.map(({ status, body }) => [status, body])).toEqual(files.map(() => [201, { text: '' }]))
  const images = await pim.imagesOf(product)
  expect(images.map(({ main }) => main)).toEqual([true])
  const { body } = await stack.api.call('GET', `${MEDIA_FILES}?limit=100&page=${Math.ceil((await pim.countFiles()) / 100)}`)
  expect(body['_embedded'].items.map((item: Json) => item['original_filename'])).toContain(images[0]?.['file'].name)
  expect((await answerOf(await stack.api.send('GET', images[0]?.['file'].url))).status).toBe(200)
})
