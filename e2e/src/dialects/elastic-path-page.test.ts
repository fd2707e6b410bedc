/** The examples of docs/dialects/elastic-path.md, as they stand. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { openStack, type Stack } from '../stack.ts'
import { openShop } from './elastic-path.ts'

const PAGE = resolve(import.meta.dirname, '../../../docs/dialects/elastic-path.md')
const page = readFileSync(PAGE, 'utf8')

let stack: Stack
let directory: string
let clientId: string

beforeAll(async () => {
  stack = await openStack('embedded')
  clientId = await openShop(stack).clientId()
  directory = await mkdtemp(join(tmpdir(), 'sluice-elastic-path-'))
  await writeFile(join(directory, 'photo.jpg'), await drawSample({ seed: 1, width: 320, height: 240, format: 'jpeg' }))
  await symlink(resolve(import.meta.dirname, '../../node_modules'), join(directory, 'node_modules'))
})
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

/** Not synchronously: the server that answers lives in this process. */
async function run(language: 'sh' | 'js'): Promise<unknown> {
  const [, code = ''] = new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(page) ?? []
  const name = language === 'sh' ? 'example.sh' : 'example.mjs'
  await writeFile(join(directory, name), code.replaceAll('127.0.0.1:8080', new URL(stack.api.url).host))
  const { stdout } = await promisify(execFile)(language === 'sh' ? 'sh' : process.execPath, [name], {
    cwd: directory,
    env: { ...process.env, CLIENT_ID: clientId, CLIENT_SECRET: stack.token },
  })
  // The client itself prints what it thinks of its tokens, before.
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}

test.each([
  ['sh', 't-shirt'],
  ['js', 'hoodie'],
] as const)('the example in %s sets a main image', async (language, sku) => {
  const main = await run(language)
  expect(main).toEqual({ data: { type: 'file', id: expect.any(String) } })
  const { body } = await stack.api.call('GET', `/pcm/products?filter=eq(sku,${sku})`)
  expect(body['data'][0].relationships.main_image).toEqual(main)
})
