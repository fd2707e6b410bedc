/** The examples of docs/dialects/openmage.md, as they stand. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { oauth1Credentials, type TokenId } from '@sluice/core'
import { drawSample } from '@sluice/images/samples'
import { openShop, SECRET_KEY, type Shop } from './openmage.ts'

const PAGE = resolve(import.meta.dirname, '../../../docs/dialects/openmage.md')

let shop: Shop
let directory: string
let images: string
beforeAll(async () => {
  shop = await openShop()
  images = await shop.newProduct()
  directory = await mkdtemp(join(tmpdir(), 'sluice-openmage-'))
  await writeFile(join(directory, 'dress.jpg'), await drawSample({ seed: 1, width: 320, height: 240, format: 'jpeg' }))
})
afterAll(async () => {
  await shop?.[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

async function examples(language: string): Promise<string[]> {
  const blocks = (await readFile(PAGE, 'utf8')).matchAll(/```(\w+)\n([\s\S]*?)```/g)
  const code = [...blocks].filter((block) => block[1] === language).map((block) => block[2] ?? '')
  return code.map((text) =>
    text.replaceAll('http://127.0.0.1:8080/api/rest/products/8/images', new URL(images, shop.stack.api.url).href),
  )
}

test('a shell adds an image and looks at it', async () => {
  const [add = '', look = ''] = await examples('sh')
  const run = (code: string) =>
    promisify(execFile)('sh', ['-c', code], { cwd: directory, env: { ...process.env, TOKEN: shop.stack.token } })
  expect((await run(add)).stdout).toMatch(new RegExp(`^HTTP/1.1 200 OK[^]*\nlocation: ${images}/\\d+\r\n`))
  const { stdout } = await run(look)
  expect(stdout).toContain('<label>second dress</label>')
  expect(stdout).toMatch(/catalog\/product\/n\/e\/new_image\.jpg<\/url>/)
})

test('a script signs its request', async () => {
  const [code = ''] = await examples('js')
  const { id } = await shop.addToken('writer')
  const { consumerKey, consumerSecret, token, tokenSecret } = oauth1Credentials(SECRET_KEY, id as TokenId)
  const env = {
    ...process.env,
    CONSUMER_KEY: consumerKey,
    CONSUMER_SECRET: consumerSecret,
    OAUTH_TOKEN: token,
    OAUTH_TOKEN_SECRET: tokenSecret,
  }
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], {
    cwd: import.meta.dirname,
    env,
  })
  expect(stdout).toMatch(/^<\?xml version="1.0"\?>\n<magento_api/)
})
