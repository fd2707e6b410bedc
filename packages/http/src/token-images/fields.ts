/** The three fields beside the image, read as Django REST framework reads them, with its messages. */
import type { Limits } from '@sluice/core'
import { type FieldFaults, fieldFaults } from './errors.ts'

export type Given = Readonly<Record<string, unknown>>

/** What was given; what was not is absent. */
export interface ImageFields {
  readonly alt_text?: string
  readonly is_primary?: boolean
  readonly order?: number
}

/** Throws one fault that names all that is wrong, together with what is known to be wrong already. Other fields are ignored. */
export function readFields(given: Given, limits: Limits, known: FieldFaults = {}): ImageFields {
  const faults: Record<string, readonly string[]> = { ...known }
  const read = <Name extends keyof ImageFields>(name: Name, valueOf: (value: unknown) => Required<ImageFields>[Name] | Fault) => {
    if (!Object.hasOwn(given, name)) return {}
    const value = given[name] === null ? fault('This field may not be null.') : valueOf(given[name])
    if (!(value instanceof Fault)) return { [name]: value }
    faults[name] = [value.message]
    return {}
  }
  const fields: ImageFields = {
    ...read('alt_text', (value) => textOf(value, limits.labelLengthMax)),
    ...read('is_primary', booleanOf),
    ...read('order', (value) => integerOf(value, limits.positionMax)),
  }
  if (Object.keys(faults).length > 0) throw fieldFaults(faults)
  return fields
}

/** Of a form: the last of a field that is repeated, and nothing where a field is empty that cannot be. */
export function fieldsOfForm(form: Given): Given {
  const fields = Object.entries(form).map(([name, value]) => [name, Array.isArray(value) ? value.at(-1) : value] as const)
  return Object.fromEntries(fields.filter(([name, value]) => name === 'alt_text' || value !== ''))
}

class Fault {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

const fault = (message: string) => new Fault(message)

function textOf(value: unknown, lengthMax: number): string | Fault {
  if (typeof value !== 'string' && typeof value !== 'number') return fault('Not a valid string.')
  const text = String(value)
  if (text.includes('\0')) return fault('Null characters are not allowed.')
  if (!text.isWellFormed()) return fault('Surrogate characters are not allowed.')
  return text.length > lengthMax ? fault(`Ensure this field has no more than ${lengthMax} characters.`) : text
}

/** `BooleanField` of Django REST framework: Python clients send `True`, curl sends `true`, browsers `on`. */
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...['t', 'y', 'yes', 'true', 'on', '1'].map((word) => [word, true] as const),
  ...['f', 'n', 'no', 'false', 'off', '0'].map((word) => [word, false] as const),
])

function booleanOf(value: unknown): boolean | Fault {
  const isScalar = typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number'
  const known = isScalar ? BOOLEANS.get(String(value).trim().toLowerCase()) : undefined
  return known ?? fault('Must be a valid boolean.')
}

function integerOf(value: unknown, most: number): number | Fault {
  const isWritten = typeof value === 'string' && /^\s*[+-]?\d{1,1000}(\.0*)?\s*$/.test(value)
  const number = isWritten ? Number(value) : value
  if (typeof number !== 'number' || (Number.isFinite(number) && !Number.isInteger(number)) || Number.isNaN(number))
    return fault('A valid integer is required.')
  if (number > most) return fault(`Ensure this value is less than or equal to ${most}.`)
  if (number < -most) return fault(`Ensure this value is greater than or equal to ${-most}.`)
  // Of the two zeros, the one that is an integer everywhere.
  return number + 0
}
