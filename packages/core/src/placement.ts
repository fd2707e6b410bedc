import { SluiceError } from './errors.ts'
import type { Placement } from './ingest.ts'
import type { Limits } from './limits.ts'
import type { Policy } from './ports.ts'
import { MAIN_ROLE } from './product-image.ts'

export interface PlacementRules {
  readonly policy: Policy
  readonly limits: Limits
}

/** Nothing said: at the end, under the default name, and the main image where there is none. */
export const AT_THE_END: Placement = {
  name: null,
  label: '',
  excluded: false,
  rank: null,
  position: null,
  roles: [],
  main: null,
  replacesMain: null,
  store: null,
  slot: null,
  oncePerFile: false,
}

/** The fields that say where an image goes. Everything else in a request is refused by name. */
const PLACEMENT_FIELDS = ['name', 'label', 'position', 'roles', 'main', 'excluded'] as const

/**
 * Reads a placement from JSON members, form fields, query parameters or columns: forms know only text, so `"3"` is a position and
 * `"true"` a truth everywhere. All problems are reported together as `request_invalid`.
 */
export function readPlacement(fields: Readonly<Record<string, unknown>>, rules: PlacementRules): Placement {
  const errors: { field: string; message: string }[] = []
  const report = (field: string, message: string) => void errors.push({ field, message })
  for (const field of Object.keys(fields)) {
    if (!(PLACEMENT_FIELDS as readonly string[]).includes(field)) report(field, 'is not a field of this request')
  }
  const { limits, policy } = rules
  const placement: Placement = {
    ...AT_THE_END,
    name: readText(fields['name'], 'name', limits.fileNameLengthMax, report) || null,
    label: readText(fields['label'], 'label', limits.labelLengthMax, report) ?? '',
    rank: readRank(fields['position'], limits.imagesPerProductMax, report),
    roles: readRoles(fields['roles'], limits.rolesMax, report),
    main: readBoolean(fields['main'], 'main', report),
    excluded: readBoolean(fields['excluded'], 'excluded', report) ?? false,
  }
  if (contradicts(placement)) report('main', CONTRADICTION)
  const [first] = errors
  if (first) throw new SluiceError('request_invalid', `${first.field} ${first.message}.`, { details: { errors } })
  checkRoles(placement.roles, policy)
  return placement.roles.includes(MAIN_ROLE) ? { ...placement, main: true } : placement
}

const CONTRADICTION = `must not be false where roles has ${MAIN_ROLE}, which is the same thing`

function contradicts({ roles, main }: { readonly roles?: readonly string[]; readonly main?: boolean | null }): boolean {
  return main === false && (roles ?? []).includes(MAIN_ROLE)
}

/** Throws `request_invalid` when an image is said to be the main one and not to be it. */
export function checkMain(change: { readonly roles?: readonly string[]; readonly main?: boolean }): void {
  if (!contradicts(change)) return
  throw new SluiceError('request_invalid', `main ${CONTRADICTION}.`, {
    details: { errors: [{ field: 'main', message: CONTRADICTION }] },
  })
}

/** Throws `role_unknown`. */
export function checkRoles(roles: readonly string[], policy: Policy): void {
  const unknown = roles.find((role) => !policy.roles.includes(role))
  if (unknown !== undefined) {
    throw new SluiceError('role_unknown', `There is no role "${unknown}". The roles are ${policy.roles.join(', ')}.`, {
      details: { roles: policy.roles },
    })
  }
}

type Report = (field: string, message: string) => void

function readText(value: unknown, field: string, lengthMax: number, report: Report): string | null {
  if (value === undefined || value === null) return null
  if (typeof value !== 'string') report(field, 'must be a text, given once')
  else if (value.includes('\0')) report(field, 'must not contain the NUL character')
  else if (value.length > lengthMax) report(field, `must not be longer than ${lengthMax} characters`)
  else if (field === 'label' && !value.isWellFormed()) report(field, 'must not contain half of a surrogate pair')
  else return value.toWellFormed()
  return null
}

function readRank(value: unknown, max: number, report: Report): number | null {
  if (value === undefined || value === null || value === '') return null
  const rank = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value
  if (typeof rank === 'number' && Number.isInteger(rank) && rank >= 1 && rank <= max) return rank
  report('position', `must be a whole number from 1 to ${max}`)
  return null
}

function readBoolean(value: unknown, field: string, report: Report): boolean | null {
  if (value === undefined || value === null || value === '') return null
  if (value === true || value === 'true' || value === '1') return true
  if (value === false || value === 'false' || value === '0') return false
  report(field, 'must be true or false')
  return null
}

/** A list, or in forms a repeated field or a text with commas. */
function readRoles(value: unknown, max: number, report: Report): readonly string[] {
  if (value === undefined || value === null) return []
  const items: readonly unknown[] = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [value]
  const roles: string[] = []
  for (const item of items) {
    if (typeof item !== 'string') report('roles', 'must be a list of texts')
    else if (item.trim() !== '') roles.push(item.trim())
  }
  if (roles.length > max) report('roles', `must not be more than ${max}`)
  return [...new Set(roles)]
}
