/** Where a person sits who imports: a folder, the command, and a server of their own, with every request counted on its way. */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import type { Json } from './api.ts'
import { type Ended, openPassing, type Passing, type Running, startSluice } from './import-command.ts'
import { openStack, type Stack } from './stack.ts'

export let stack: Stack
export let passing: Passing
export let directory: string
const started: Running[] = []
let seed = 0

/** To be called once by each file of tests. */
export function sitDown(): void {
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
}

export const start = (words: readonly string[], stdin?: string): Running => {
  const running = startSluice({
    words,
    cwd: directory,
    env: { SLUICE_URL: passing.url, SLUICE_TOKEN: stack.token },
    ...(stdin === undefined ? {} : { stdin }),
  })
  started.push(running)
  return running
}
export const sluice = (...words: string[]): Promise<Ended> => start(words).ended

/** An image that nothing else in this file has; the folder is made where it is missing. */
export async function draw(path: string): Promise<Buffer> {
  const image = Buffer.from(await drawSample({ seed: ++seed, width: 64, height: 48, format: 'jpeg' }))
  await write(path, image)
  return image
}

export async function write(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(join(directory, path)), { recursive: true })
  await writeFile(join(directory, path), content)
}

export const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex')
export const imagesOf = async (sku: string): Promise<Json> => (await stack.api.call('GET', `/v1/products/sku:${sku}/images`)).body
export const digestsOf = async (sku: string): Promise<string[]> =>
  (await imagesOf(sku))['images'].map((image: Json) => image['file']['sha256'])
export const newSku = (): string => `import-${crypto.randomUUID().slice(0, 8)}`
export const idIn = (text: string): string => /undo ([0-9a-f-]{36})/.exec(text)?.[1] ?? ''
export const readLines = async (path: string): Promise<Json[]> =>
  (await readFile(join(directory, path), 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Json)
