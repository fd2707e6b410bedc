import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { openStack, type Stack } from './stack.ts'

const README = resolve(import.meta.dirname, '../../README.md')

interface Example {
  readonly command: string
  /** The answer that the page shows below the command. */
  readonly shown: string | null
}

/** The commands of one section, each with the JSON block that follows it. */
function examplesOf(page: string, section: string): Example[] {
  const text = page.split(`## ${section}\n`)[1]?.split('\n## ')[0] ?? ''
  const blocks = [...text.matchAll(/```(sh|json)\n([\s\S]*?)```/g)].map(([, language, content]) => ({
    language,
    content: content ?? '',
  }))
  return blocks.flatMap(({ language, content }, index) => {
    if (language !== 'sh') return []
    const next = blocks[index + 1]
    return [{ command: content, shown: next?.language === 'json' ? next.content : null }]
  })
}

/** The same document with every value replaced by its kind: ids, times and sizes differ from run to run. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf)
  if (value === null || typeof value !== 'object') return value === null ? null : typeof value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shapeOf(member)]))
}

describe('the examples of the README', () => {
  let stack: Stack
  let directory: string
  let page: string

  beforeAll(async () => {
    page = await readFile(README, 'utf8')
    stack = await openStack('embedded')
    directory = await mkdtemp(join(tmpdir(), 'sluice-readme-'))
    await writeFile(join(directory, 'photo.jpg'), await drawSample({ seed: 1, width: 1600, height: 1200, format: 'jpeg' }))
  })
  afterAll(async () => {
    await stack?.[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })

  /** Not synchronously: the server that answers lives in this process. */
  const run = async (command: string) => {
    const { stdout } = await promisify(execFile)('sh', ['-c', command.replaceAll('http://127.0.0.1:8080', stack.api.url)], {
      cwd: directory,
      env: { PATH: process.env['PATH'], TOKEN: stack.token },
    })
    return stdout
  }

  test('do what they say, with answers of the shape that is shown', async () => {
    const examples = examplesOf(page, 'Use it')
    expect(examples.length).toBeGreaterThanOrEqual(4)
    const pairs: [unknown, unknown][] = []
    for (const { command, shown } of examples) {
      const answer: unknown = JSON.parse(await run(command))
      pairs.push([shapeOf(answer), shown === null ? shapeOf(answer) : shapeOf(JSON.parse(shown))])
      // A reader types more slowly than an ingest takes.
      await vi.waitFor(
        async () => expect((await stack.api.call('GET', '/v1/ingests?state=received&state=running')).body['items']).toEqual([]),
        30_000,
      )
    }
    expect(pairs.map(([answered]) => answered)).toEqual(pairs.map(([, shown]) => shown))
    const { body } = await stack.api.call('GET', '/v1/products/sku:shirt-1/images')
    expect(body['images'].map((image: { name: string; label: string }) => [image.name, image.label])).toEqual([
      ['image', 'From the front'],
      ['image_2', 'From behind'],
    ])
  })

  test('the refusal that is shown is the refusal that is given, to the letter', async () => {
    const refused = examplesOf(page, 'Use it').at(-1)
    expect(JSON.parse(await run(refused?.command ?? ''))).toEqual(JSON.parse(refused?.shown ?? ''))
  })
})
