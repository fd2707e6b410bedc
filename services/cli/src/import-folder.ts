import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { NamePattern } from './import-pattern.ts'
import type { LocalRow } from './import-row.ts'

interface Folder {
  readonly path: string
  readonly pattern: NamePattern
  /** Told of each file whose name does not match. */
  readonly onOther?: (relativePath: string) => void
}

/**
 * The files of a folder and of those below it, each directory in the order of its names, so that the same folder gives the same rows
 * again. No more is held than the names of the directories on the way.
 */
export async function* readFolder({ path, pattern, onOther }: Folder): AsyncGenerator<LocalRow> {
  let line = 0
  for await (const relativePath of filesOf(path, '')) {
    const fields = pattern(relativePath)
    if (!fields) {
      onOther?.(relativePath)
      continue
    }
    line += 1
    yield { line, where: relativePath, fields, bytes: { kind: 'path', path: join(path, relativePath) }, fault: null }
  }
}

/** Hidden ones are left out. Links to files are followed; links to directories are not, since they can lead in circles. */
async function* filesOf(root: string, below: string): AsyncGenerator<string> {
  const entries = await readdir(join(root, below), { withFileTypes: true })
  entries.sort((a, b) => inOrder.compare(a.name, b.name) || (a.name < b.name ? -1 : 1))
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue
    const relativePath = below === '' ? entry.name : `${below}/${entry.name}`
    if (entry.isDirectory()) yield* filesOf(root, relativePath)
    else if (entry.isFile() || (entry.isSymbolicLink() && (await leadsToFile(join(root, relativePath))))) yield relativePath
  }
}

/** `shirt_2` before `shirt_10`, on every machine alike. */
const inOrder = new Intl.Collator('en', { numeric: true })

async function leadsToFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null)
  return found?.isFile() ?? false
}
