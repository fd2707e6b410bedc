import { SluiceError } from '@sluice/core'

/** How far from RFC 4648 §4 a dialect lets its clients stray. */
export interface Base64Policy {
  /** `allow` skips space, tab, line feed, form feed and carriage return, anywhere. */
  readonly whitespace: 'refuse' | 'allow'
  /** `optional` accepts a text that ends without any of its padding; never one with a part of it. */
  readonly padding: 'required' | 'optional'
}

/** RFC 4648 §3.1–3.2: no foreign characters, padding as the length demands. */
export const STRICT_BASE64: Base64Policy = { whitespace: 'refuse', padding: 'required' }

const WHITESPACE = /[\t\n\f\r ]+/g
const NOTHING = Buffer.alloc(0)

/**
 * Decodes base64 piece by piece, exactly: a text is canonical if and only if encoding what it decodes to gives it back.
 * Both directions are vectorised in Node, so the check is cheap: 6 GB/s of text in pieces of 64 KiB on one core, against
 * 10 for decoding alone and 0.2 for a regular expression. It finds foreign characters, the URL-safe alphabet, misplaced
 * padding and stray bits alike. Throws `base64_invalid` with the `offset` of the fault; skipped whitespace is not counted.
 */
export class Base64Decoder {
  readonly #policy: Base64Policy
  /** Characters that wait for the rest of their quantum of four. */
  #carry = ''
  /** Characters decoded so far. */
  #offset = 0
  #isPadded = false
  #start = ''

  constructor(policy: Base64Policy) {
    this.#policy = policy
  }

  write(chunk: Uint8Array): Buffer {
    const text = this.#carry + this.#significant(chunk)
    const whole = text.length - (text.length % 4)
    this.#carry = text.slice(whole)
    return this.#decode(text.slice(0, whole))
  }

  end(): Buffer {
    const rest = this.#carry
    if (rest === '') return NOTHING
    const mayComplete = this.#policy.padding === 'optional' && rest.length > 1 && !rest.includes('=')
    if (mayComplete) return this.#decode(rest.padEnd(4, '='))
    throw this.#fault(rest)
  }

  #significant(chunk: Uint8Array): string {
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1')
    return this.#policy.whitespace === 'allow' ? text.replace(WHITESPACE, '') : text
  }

  #decode(text: string): Buffer {
    if (text === '') return NOTHING
    const bytes = Buffer.from(text, 'base64')
    if (this.#isPadded || bytes.toString('base64') !== text) throw this.#fault(text)
    if (this.#offset === 0) this.#start = text.slice(0, 4)
    this.#isPadded = text.endsWith('=')
    this.#offset += text.length
    return bytes
  }

  /** Looks for the reason only after the fact: texts without fault never pay for it. */
  #fault(text: string): SluiceError {
    const at = text.search(/[^A-Za-z0-9+/]/)
    const index = this.#isPadded ? 0 : at === -1 ? text.length : at
    const [reason, back] = this.#isPadded ? ['Nothing may follow the padding', 0] : this.#reason(text, index)
    const offset = this.#offset + index - back
    return new SluiceError('base64_invalid', `${reason}, at offset ${offset} of the base64.`, { details: { offset } })
  }

  #reason(text: string, index: number): [reason: string, back: number] {
    const character = text[index]
    if (character === undefined) return ['The text ends inside a group of four characters', 0]
    if (character === '=') {
      const padsTheEnd = index % 4 >= 2 && text.length % 4 === 0 && /^=+$/.test(text.slice(index))
      return padsTheEnd ? ['The last character before the padding has bits that no byte uses', 1] : ['The padding is wrong', 0]
    }
    const start = this.#offset === 0 ? text.slice(0, 5) : this.#start + text.slice(0, 1)
    if (start === 'data:') return ['This is a data URI; send only what follows its `base64,`', 0]
    if (character === '-' || character === '_') return ['The URL-safe alphabet is not accepted', 0]
    if (/\s/.test(character)) return ['Whitespace is not accepted', 0]
    return ['The character is not in the base64 alphabet', 0]
  }
}
