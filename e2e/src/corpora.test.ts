import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStack, type Stack } from './stack.ts'

/** Real images, good and hostile, that lie beside the repository; a clone elsewhere has none. */
const CORPORA = resolve(import.meta.dirname, '../../../shared/corpora')
const DOCUMENT = resolve(import.meta.dirname, '../../docs/operations/verdicts.md')
const FOLDERS = ['photos', 'pngsuite', 'orientation'] as const

const IMAGE = /\.(jpe?g|png|webp|gif|avif|tiff?|svg|jp2)$/i
const TYPES: Record<string, string> = {
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  png: 'image/png',
  webp: 'image/webp',
  gif: 'image/gif',
  avif: 'image/avif',
  tif: 'image/tiff',
  tiff: 'image/tiff',
  svg: 'image/svg+xml',
  jp2: 'image/jp2',
}

interface Verdict {
  readonly file: string
  readonly status: number
  readonly verdict: string
  readonly seen: string
}

describe.skipIf(!existsSync(CORPORA))('public corpora through the HTTP API (skipped without ../shared/corpora)', () => {
  let stack: Stack
  let verdicts: readonly Verdict[]

  beforeAll(async () => {
    stack = await openStack('embedded')
    verdicts = await judgeAll(stack)
  }, 600_000)
  afterAll(async () => stack?.[Symbol.asyncDispose]())

  test('each ends committed or rejected with a code, and none in between', () => {
    expect(verdicts.length).toBeGreaterThan(250)
    const odd = verdicts.filter(
      ({ status, verdict }) =>
        !(status === 201 ? verdict === 'committed' : status >= 400 && status < 500 && /^[a-z_]+$/.test(verdict)),
    )
    expect(odd).toEqual([])
  })

  test('none is stuck, tried twice, or ended the decoder', async () => {
    for (const state of ['received', 'running', 'failed']) {
      expect((await stack.api.call('GET', `/v1/ingests?state=${state}`)).body['items']).toEqual([])
    }
    expect(stack.log()).not.toContain('ingest.postponed')
  })

  test('of PngSuite, exactly the fourteen corrupt ones are rejected', () => {
    const suite = verdicts.filter(({ file }) => file.startsWith('pngsuite/'))
    const rejected = suite.filter(({ verdict }) => verdict !== 'committed').map(({ file }) => file)
    expect(rejected).toEqual(suite.map(({ file }) => file).filter((file) => file.startsWith('pngsuite/x')))
    expect(rejected).toHaveLength(14)
  })

  test('the eight orientations look alike', () => {
    const sizes = (prefix: string) =>
      new Set(verdicts.filter(({ file }) => file.startsWith(`orientation/${prefix}`)).map(({ seen }) => seen.split(',')[0]))
    expect([...sizes('Landscape')]).toHaveLength(1)
    expect([...sizes('Portrait')]).toHaveLength(1)
  })

  test('the documented table says what happened', async () => {
    const table = documentOf(verdicts)
    if (process.env['SLUICE_UPDATE_DOCS'] === '1') await writeFile(DOCUMENT, table)
    expect(await readFile(DOCUMENT, 'utf8')).toBe(table)
  })
})

/** Eight at a time; each file is sent as what its name says it is, to one product. */
async function judgeAll({ api }: Stack): Promise<Verdict[]> {
  const product = await api.newProduct()
  const files = (
    await Promise.all(FOLDERS.map(async (folder) => (await readdir(join(CORPORA, folder))).map((name) => `${folder}/${name}`)))
  ).flat()
  const images = files.filter((file) => IMAGE.test(file)).sort()
  const verdicts: Verdict[] = []
  const judge = async (file: string) => {
    const { status, body } = await api.addImage(product, await readFile(join(CORPORA, file)), {
      type: TYPES[extensionOf(file)] ?? '',
      fileName: file,
    })
    const { width, height, mode, frames } = body['file'] ?? {}
    const seen = status === 201 ? [`${width} × ${height}`, mode, ...(frames > 1 ? [`${frames} frames`] : [])].join(', ') : ''
    verdicts.push({ file, status, verdict: status === 201 ? 'committed' : String(body['code']), seen })
  }
  const queue = [...images]
  const work = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) await judge(file)
  }
  await Promise.all(Array.from({ length: 8 }, work))
  return verdicts.sort((a, b) => (a.file < b.file ? -1 : 1))
}

function extensionOf(file: string): string {
  return file.slice(file.lastIndexOf('.') + 1).toLowerCase()
}

function documentOf(verdicts: readonly Verdict[]): string {
  const count = (verdict: string) => verdicts.filter((one) => one.verdict === verdict).length
  const sums = [...new Set(verdicts.map(({ verdict }) => verdict))].sort()
  return [
    '# Verdicts on public test images',
    '',
    'What becomes of the images of three public collections (the fixtures of sharp, PngSuite, and the EXIF orientation examples)',
    'when each is sent to `POST /v1/products/{ref}/images` under the type that its name claims. `e2e/src/corpora.test.ts` sends them',
    'and holds this page to the result; `SLUICE_UPDATE_DOCS=1` writes it anew.',
    '',
    '| verdict | files |',
    '| --- | ---: |',
    ...sums.map((verdict) => `| \`${verdict}\` | ${count(verdict)} |`),
    '',
    '| file | status | verdict | seen as |',
    '| --- | --- | --- | --- |',
    ...verdicts.map(({ file, status, verdict, seen }) => `| ${file} | ${status} | \`${verdict}\` | ${seen} |`),
    '',
  ].join('\n')
}
