import { humanBytes, SluiceError } from '@sluice/core'

/** The text fields of a form. A name that is repeated, or ends in `[]` as PHP's do, has an array. */
export class FormFields {
  readonly #fields = new Map<string, string | string[]>()
  readonly #bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Returns what is wrong with the field instead of throwing it: the parser calls from where nobody catches. */
  add(name: string | undefined, value: string, isTruncated: boolean): SluiceError | null {
    if (name === undefined) return new SluiceError('multipart_invalid', 'A part of the form has no name.')
    if (name in Object.prototype) return new SluiceError('multipart_invalid', `A field cannot be named ${name}.`)
    this.#bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
    if (isTruncated || this.#bytes > this.#bytesMax) {
      return new SluiceError('request_too_large', `The fields of a form may have ${humanBytes(this.#bytesMax)} together.`, {
        details: { bytesMax: this.#bytesMax },
      })
    }
    // The parser replaces what is not UTF-8. A label that we cannot keep as it was is refused, not kept otherwise.
    if (name.includes('\uFFFD') || value.includes('\uFFFD')) {
      return new SluiceError('request_invalid', `The field ${name} is not valid UTF-8.`, { details: { field: name } })
    }
    this.#put(name, value)
    return null
  }

  toRecord(): Record<string, unknown> {
    return Object.fromEntries(this.#fields)
  }

  #put(name: string, value: string): void {
    const isList = name.endsWith('[]')
    const key = isList ? name.slice(0, -2) : name
    const known = this.#fields.get(key)
    if (known === undefined) this.#fields.set(key, isList ? [value] : value)
    else this.#fields.set(key, [...(Array.isArray(known) ? known : [known]), value])
  }
}
