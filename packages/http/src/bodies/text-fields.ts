import { parseJson } from './json-envelope.ts'

export const JSON_TYPE = 'application/json'
export const URLENCODED = 'application/x-www-form-urlencoded'

/** Looks up fields of a form or members of a JSON document that are texts; empty for what is not there or is none. */
export function textFields(body: Buffer, type: string | null): (name: string) => string {
  if (type === URLENCODED) {
    const form = new URLSearchParams(body.toString('utf8'))
    return (name) => form.get(name) ?? ''
  }
  const document = parseJson(body)
  return (name) => {
    const value: unknown = typeof document === 'object' && document !== null ? Reflect.get(document, name) : undefined
    return typeof value === 'string' ? value : ''
  }
}
