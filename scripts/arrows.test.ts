import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const DRIVERS = ['http', 'database', 'queue', 'storage', 'images', 'fetch']

/** The whole drawing. `turbo boundaries` refuses an import that its package.json does not declare; this is what may be declared. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  'packages/core': [],
  ...Object.fromEntries(DRIVERS.map((driver) => [`packages/${driver}`, ['core']])),
  'packages/runtime': ['core', ...DRIVERS],
  'services/intake': ['runtime', 'core'],
  'services/worker': ['runtime', 'core'],
  'services/console': ['runtime', 'core'],
  'services/cli': ['runtime', 'core'],
}

describe('the arrows between packages', () => {
  it.each(Object.entries(ARROWS))('of %s lead to nothing but %o', async (folder, allowed) => {
    const manifest: unknown = JSON.parse(await readFile(join(import.meta.dirname, '..', folder, 'package.json'), 'utf8'))
    const declared = dependenciesOf(manifest).filter((name) => name.startsWith('@sluice/'))
    const known = new Set(allowed.map((name) => `@sluice/${name}`))
    expect(declared.filter((name) => !known.has(name))).toEqual([])
  })
})

function dependenciesOf(manifest: unknown): string[] {
  if (typeof manifest !== 'object' || manifest === null) return []
  const tables = Object.entries(manifest).filter(([key]) => key.endsWith('ependencies'))
  return tables.flatMap(([, table]) => (typeof table === 'object' && table !== null ? Object.keys(table) : []))
}
