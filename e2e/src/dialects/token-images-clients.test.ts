/** The examples of docs/dialects/token-images.md, by the programs for which they were written. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import type { Json } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'

const PAGE = resolve(import.meta.dirname, '../../../docs/dialects/token-images.md')

let stack: Stack
let directory: string
let examples: Record<string, string[]>

beforeAll(async () => {
  stack = await openStack('embedded')
  directory = await mkdtemp(join(tmpdir(), 'sluice-token-images-'))
  await writeFile(join(directory, 'product_image.jpg'), await drawSample({ seed: 1, width: 320, height: 240, format: 'jpeg' }))
  await writeFile(join(directory, 'product_side.jpg'), await drawSample({ seed: 2, width: 120, height: 160, format: 'jpeg' }))
  examples = await examplesOf(PAGE)
})
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

/** The code of the page by its language. */
async function examplesOf(page: string): Promise<Record<string, string[]>> {
  const blocks = [...(await readFile(page, 'utf8')).matchAll(/```(\w+)\n([\s\S]*?)```/g)]
  return Object.fromEntries(
    ['sh', 'python', 'json'].map((language) => [
      language,
      blocks.filter((block) => block[1] === language).map((block) => block[2] ?? ''),
    ]),
  )
}

/** Not synchronously: the server that answers lives in this process. */
async function run(program: string, option: string, code: string, product: number): Promise<Json> {
  const here = code.replaceAll('http://127.0.0.1:8080', stack.api.url).replaceAll('/products/123/', `/products/${product}/`)
  const { stdout } = await promisify(execFile)(program, [option, here], {
    cwd: directory,
    env: { ...process.env, TOKEN: stack.token },
  })
  return JSON.parse(program === 'python3' ? asJson(stdout) : stdout) as Json
}

/** `print` of a dictionary of texts and numbers. */
function asJson(printed: string): string {
  return printed.replaceAll("'", '"').replaceAll('None', 'null')
}

async function newProduct(): Promise<number> {
  return (await stack.api.call('GET', await stack.api.newProduct())).body['number']
}

const kindsOf = (document: Json) => Object.fromEntries(Object.entries(document).map(([name, value]) => [name, typeof value]))

function canRun(program: string, ...options: string[]): boolean {
  try {
    execFileSync(program, options, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

describe.skipIf(!canRun('curl', '--version'))('curl (skipped where there is none)', () => {
  test('brings both images, as the page shows', async () => {
    const product = await newProduct()
    const [front, side, ...others] = examples['sh'] ?? []
    expect(others).toEqual([])
    const first = await run('sh', '-c', front ?? '', product)
    const second = await run('sh', '-c', side ?? '', product)
    expect(first).toMatchObject({ name: 'product_image.jpg', description: 'Product front view', width: 320, height: 240 })
    expect(second).toMatchObject({ name: 'product_side.jpg', description: 'Product side view', width: 120, height: 160 })
    expect(kindsOf(first)).toEqual(kindsOf(JSON.parse(examples['json']?.[0] ?? '') as Json))
    const { body } = await stack.api.call('GET', `/v1/products/${product}/images`)
    expect(body['images'].map((image: Json) => [image['number'], image['main']])).toEqual([
      [first['id'], true],
      [second['id'], false],
    ])
  })
})

describe.skipIf(!canRun('python3', '-c', 'import requests'))('requests for Python (skipped where there is none)', () => {
  test('brings an image, as the page shows', async () => {
    const product = await newProduct()
    const [code, ...others] = examples['python'] ?? []
    expect(others).toEqual([])
    const image = await run('python3', '-c', code ?? '', product)
    expect(image).toMatchObject({ name: 'product_image.jpg', description: 'Product front view', type: 'JPEG', mode: 'RGB' })
    const { body } = await stack.api.call('GET', `/v1/products/${product}/images`)
    expect(body['images']).toMatchObject([{ number: image['id'], main: true, label: 'Product front view' }])
  })
})
