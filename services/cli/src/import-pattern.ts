import { MAIN_ROLE } from '@sluice/core'
import { EXIT, CommandError, messageOf } from './command-error.ts'

export const DEFAULT_PATTERN = String.raw`(?<sku>[^_]+)_(?<position>\d+)\..*`

const GROUPS = ['sku', 'position', 'role', 'label', 'store'] as const
type Groups = Partial<Record<(typeof GROUPS)[number], string>>

/** What a file of a folder is called says where it belongs. Null: it does not match. */
export type NamePattern = (relativePath: string) => Record<string, unknown> | null

/**
 * A pattern with a slash is held against the whole path below the folder, any other one against the file's name; either way from
 * its first character to its last.
 */
export function readPattern(text: string): NamePattern {
  const expression = compile(text)
  const groups = [...text.matchAll(/\(\?<([A-Za-z_$][\w$]*)>/g)].map(([, name]) => name ?? '')
  const unknown = groups.find((name) => !GROUPS.some((known) => known === name))
  if (unknown !== undefined) throw usage(text, `(?<${unknown}>…) is not one of the groups ${GROUPS.join(', ')}`)
  if (!groups.includes('sku')) throw usage(text, 'it needs a group (?<sku>…)')
  if (groups.includes('store') && !groups.includes('role') && !groups.includes('label'))
    throw usage(text, '(?<store>…) says where a (?<label>…) or a (?<role>…) holds, and there is neither')
  return (relativePath) => {
    const subject = text.includes('/') ? relativePath : relativePath.slice(relativePath.lastIndexOf('/') + 1)
    const found = expression.exec(subject)?.groups as Groups | undefined
    return found?.sku === undefined ? null : fieldsOf(found)
  }
}

/** The main role takes no other one away. With a store, label and role hold in that store view alone. */
function fieldsOf({ sku, position, role, label, store }: Groups): Record<string, unknown> {
  const rank = position === undefined ? {} : { position: Number(position) }
  const said = {
    ...(label === undefined ? {} : { label }),
    ...(role === undefined ? {} : { roles: [role] }),
  }
  if (store !== undefined) return { sku, ...rank, stores: { [store]: said } }
  return { sku, ...rank, ...(role === MAIN_ROLE ? { ...(label === undefined ? {} : { label }), main: true } : said) }
}

function compile(text: string): RegExp {
  try {
    return new RegExp(`^(?:${text})$`, 'u')
  } catch (error) {
    throw usage(text, messageOf(error), error)
  }
}

function usage(text: string, why: string, cause?: unknown): CommandError {
  return new CommandError(EXIT.usage, `--pattern '${text}' cannot be used: ${why}.`, cause)
}
