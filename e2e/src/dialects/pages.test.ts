/** The pages of docs/dialects: each link leads somewhere, and each row of a table of coverage names a test that there is. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

const FOLDER = resolve(import.meta.dirname, '../../../docs/dialects')
const PAGES = readdirSync(FOLDER).filter((name) => name.endsWith('.md'))

describe.each(PAGES)('%s', (name) => {
  const path = resolve(FOLDER, name)
  const page = readFileSync(path, 'utf8')
  const references = new Map([...page.matchAll(/^\[(\w+)\]: (\S+)$/gm)].map(([, key = '', target = '']) => [key, target]))
  const targets = [...page.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target).concat(...references.values())
  const files = targets.filter((target) => !/^https?:/.test(target)).map((target) => target.split('#', 1)[0] ?? '')
  const there = files.map((target) => (target === '' ? path : resolve(dirname(path), target)))

  test('has no link that leads nowhere', () => {
    expect(there.filter((file) => !existsSync(file))).toEqual([])
    for (const target of targets.filter((one) => one.includes('#') && !/^https?:/.test(one))) {
      const [file = '', anchor = ''] = target.split('#', 2)
      const text = file === '' ? page : readFileSync(resolve(dirname(path), file), 'utf8')
      expect([target, anchorsOf(text).includes(anchor)]).toEqual([target, true])
    }
  })

  if (name === 'README.md') return

  test('names tests that there are, in each row', () => {
    const tests = new Set(there.filter((file) => file.endsWith('.test.ts')))
    const sources = new Map([...tests].map((file) => [file, readFileSync(file, 'utf8')]))
    const rows = coverageOf(page)
    expect(rows.length).toBeGreaterThan(10)
    expect(rows.filter((row) => !/`[^`]+`/.test(row))).toEqual([])
    const missing = rows.flatMap(namesIn).filter(({ title, target }) => {
      const file = target && resolve(dirname(path), references.get(target) ?? target)
      const places = file === null ? [...sources.values()] : [sources.get(file) ?? '']
      return !places.some((source) => isTest(source, title))
    })
    expect(missing).toEqual([])
  })
})

function anchorsOf(text: string): readonly string[] {
  const titles = [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => title)
  return titles.map((title) =>
    title
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}

/** The last cells of the tables whose last column is `shown by`. */
function coverageOf(page: string): readonly string[] {
  const tables = page.split('\n\n').filter((block) => /^\|.*\| shown by \|$/m.test(block))
  return tables.flatMap((table) =>
    table
      .trim()
      .split('\n')
      .slice(2)
      .map(
        (row) =>
          row
            .split(/(?<!\\) \| /)
            .at(-1)
            ?.replace(/ \|$/, '')
            .replaceAll('\\|', '|') ?? '',
      ),
  )
}

interface Named {
  readonly title: string
  /** Null: one of the files of the page. */
  readonly target: string | null
}

/** A whole file is named where all of it shows the same. */
function namesIn(cell: string): readonly Named[] {
  const found = cell.matchAll(/`([^`]+)`(?:\]\(([^)]+)\)|\]\[(\w+)\])?/g)
  const named = [...found].map(([, title = '', link, key]): Named => ({ title, target: link ?? key ?? null }))
  return named.filter(({ title }) => !title.endsWith('.test.ts'))
}

/** Given to `test` or `describe`, in quotes of any kind. */
function isTest(source: string, title: string): boolean {
  const escaped = title.replaceAll("'", String.raw`\'`)
  return [`'${title}'`, `"${title}"`, `\`${title}\``, `'${escaped}'`].some((quoted) => {
    const at = source.indexOf(quoted)
    return at > 0 && /[(]\s*$/.test(source.slice(0, at))
  })
}
