/** Loaded before a service: its sources are read with the guards of FAULTS_MUTANTS taken out. */
import { registerHooks } from 'node:module'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mutantNamed } from './mutants.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const named = (process.env['FAULTS_MUTANTS'] ?? '').split(',').filter((name) => name !== '')
const mutants = named.map(mutantNamed).filter((mutant) => mutant.kind === 'source')

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    const own = url.startsWith('file:') ? mutants.filter(({ file }) => fileURLToPath(url) === join(ROOT, file)) : []
    if (own.length === 0) return loaded
    let source = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source ?? undefined)
    for (const { edits, file } of own) {
      for (const [from, to] of edits) {
        // A mutant whose place has moved would leave the guard in, and its run green.
        if (source.split(from).length !== 2) throw new Error(`${file} has no single place ${JSON.stringify(from)}.`)
        source = source.replace(from, () => to)
      }
    }
    return { ...loaded, source }
  },
})
