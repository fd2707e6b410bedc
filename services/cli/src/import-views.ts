/** The parts of the API's answers that are used here; `/v1/openapi.json` has them whole. */
import type { Problem } from './api.ts'

export interface ImportHead {
  readonly id: string
  readonly name: string
  readonly state: 'open' | 'planned' | 'applying' | 'stopping' | 'stopped' | 'finished' | 'undoing' | 'undone'
  readonly mode: 'add' | 'sync'
  readonly on_error: 'skip' | 'stop'
  readonly create_products: boolean
  readonly park_seconds: number
  readonly plan_hash: string | null
  readonly created_at: string
  readonly finished_at: string | null
}

export interface ImportView extends ImportHead {
  readonly counts: Counts
  readonly rows_per_second: number | null
  readonly undo: Readonly<Record<'restored' | 'changed_since' | 'unrestorable' | 'open', number>> | null
}

type RowState = 'invalid' | 'pending' | 'parked' | 'running' | 'done' | 'skipped' | 'failed'

export interface Counts {
  readonly total: number
  readonly states: Readonly<Record<RowState, number>>
  readonly actions: Readonly<Record<string, number>>
}

export interface RowView {
  readonly line: number
  readonly state: RowState
  readonly action: string | null
  readonly changes: readonly string[]
  readonly error: Problem | null
  readonly product: string | null
  readonly source: { readonly kind: string; readonly sha256?: string; readonly url?: string } | null
  readonly wishes: Readonly<Record<string, unknown>>
}

export const importPath = (id: string): string => `/v1/imports/${encodeURIComponent(id)}`

/** Rows that are not as they should be, whatever became of the others. */
export function failuresOf({ states }: Pick<Counts, 'states'>): number {
  return states.failed + states.invalid
}

/** Rows of which nothing more is to come. */
export function settledOf({ states }: Pick<Counts, 'states'>): number {
  return states.done + states.skipped + failuresOf({ states })
}

/** Why a row failed, in one line: each field that is at fault, or else what the problem says. */
export function reasonOfRow({ error }: Pick<RowView, 'error'>): string {
  if (!error) return 'no reason was given'
  const fields = error.errors?.map(({ field, message }) => `${field} ${message}`) ?? []
  return fields.length > 0 ? fields.join('; ') : `${error.detail ?? error.title} (${error.code})`
}
