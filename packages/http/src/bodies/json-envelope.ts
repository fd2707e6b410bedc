import { humanBytes, JSON_DEPTH_MAX, refuseDeepJson, SluiceError } from '@sluice/core'
import secureJson from 'secure-json-parse'
import type { Chunks } from './chunks.ts'

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_ARRAY = 0x5b
const BACKSLASH = 0x5c
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** An object or array that has begun. */
interface Container {
  readonly isObject: boolean
  /** Whether it is the root or the value of a member on the path. */
  readonly isOnPath: boolean
  awaitsName: boolean
  /** Whether the member on the path has been seen in it. */
  hasMember: boolean
}

/**
 * A JSON document without the content of one string member. It follows strings and nesting just far enough to find where that
 * content begins; whether the rest is JSON is left to the real parser, at the end. That is safe because strings in JSON are
 * told apart from left to right: where this and the parser could disagree, the parser has met a fault before and refuses.
 */
export class JsonEnvelope {
  /** True when the next byte is the first of the member's content, or its closing quote. */
  isAtContent = false
  readonly #path: readonly string[]
  readonly #bytesMax: number
  #bytes = Buffer.allocUnsafe(4096)
  #length = 0
  readonly #open: Container[] = []
  #inString = false
  #isEscaped = false
  /** Where a member's name begins that may be on the path; null in any other string. */
  #nameAt: number | null = null
  /** Whether the value that comes next belongs to a member on the path. */
  #valueIsOnPath = false

  constructor(path: readonly string[], bytesMax: number) {
    this.#path = path
    this.#bytesMax = bytesMax
  }

  /** Takes bytes until the content begins or there are no more. */
  read(source: Chunks): void {
    const here = source.rest
    let at = 0
    while (at < here.length && !this.isAtContent) {
      const byte = here[at++] ?? 0
      this.#keep(byte)
      if (this.#inString) this.#takeInString(byte)
      else this.#take(byte)
    }
    source.skip(at)
  }

  /** The content and its closing quote were taken elsewhere. */
  endContent(): void {
    this.isAtContent = false
    this.#keep(QUOTE)
  }

  parse(): unknown {
    return parseJson(this.#bytes.subarray(0, this.#length))
  }

  #take(byte: number): void {
    switch (byte) {
      case QUOTE:
        return this.#beginString()
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        return this.#begin(byte === OPEN_OBJECT)
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        this.#open.pop()
        this.#valueIsOnPath = false
        return
      case COMMA:
        return this.#awaitName(true)
      case COLON:
        return this.#awaitName(false)
      case 0x20:
      case 0x0a:
      case 0x0d:
      case 0x09:
        return
      default:
        this.#beginValue('other')
    }
  }

  #takeInString(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false
    else if (byte === BACKSLASH) this.#isEscaped = true
    else if (byte === QUOTE) this.#endString()
  }

  #beginString(): void {
    const container = this.#open.at(-1)
    const isName = container?.awaitsName === true
    if (!isName && this.#beginValue('string')) {
      this.isAtContent = true
      return
    }
    this.#inString = true
    this.#nameAt = isName && container.isOnPath ? this.#length - 1 : null
  }

  #endString(): void {
    this.#inString = false
    if (this.#nameAt === null) return
    this.#valueIsOnPath = this.#nameFrom(this.#nameAt) === this.#path[this.#open.length - 1]
    const container = this.#open.at(-1)
    if (!this.#valueIsOnPath || !container) return
    // `JSON.parse` would take the last of them, and the bytes of the first would stand for another document.
    if (container.hasMember) throw this.#memberInvalid('is there twice')
    container.hasMember = true
  }

  #begin(isObject: boolean): void {
    const isOnPath = isObject && (this.#open.length === 0 || this.#valueIsOnPath)
    this.#beginValue('other')
    this.#open.push({ isObject, isOnPath, awaitsName: isObject, hasMember: false })
    if (this.#open.length > JSON_DEPTH_MAX)
      throw new SluiceError('json_invalid', `The body is nested deeper than ${JSON_DEPTH_MAX} levels.`)
  }

  /** True when the value is the content; throws when it should be and is no string. */
  #beginValue(kind: 'string' | 'other'): boolean {
    const isContent = this.#valueIsOnPath && this.#open.length === this.#path.length
    this.#valueIsOnPath = false
    if (isContent && kind === 'other') throw this.#memberInvalid('must be a string')
    return isContent
  }

  #awaitName(awaitsName: boolean): void {
    const container = this.#open.at(-1)
    if (container?.isObject) container.awaitsName = awaitsName
    if (awaitsName) this.#valueIsOnPath = false
  }

  /** A name may be written with escapes, and is still that name. */
  #nameFrom(at: number): unknown {
    try {
      return JSON.parse(this.#bytes.toString('utf8', at, this.#length))
    } catch {
      // No name at all: the parser will say so in the end.
      return null
    }
  }

  #memberInvalid(complaint: string): SluiceError {
    const field = this.#path.slice(0, this.#open.length).join('.')
    return new SluiceError('request_invalid', `${field} ${complaint}.`, { details: { field } })
  }

  #keep(byte: number): void {
    if (this.#length === this.#bytesMax) {
      throw new SluiceError('request_too_large', `The body may have ${humanBytes(this.#bytesMax)} apart from its file.`, {
        details: { bytesMax: this.#bytesMax },
      })
    }
    if (this.#length === this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes], 2 * this.#length)
    this.#bytes[this.#length++] = byte
  }
}

/** Throws `json_invalid` for what is not UTF-8, not JSON, nested too deep, or would change the prototype of what reads it. */
export function parseJson(bytes: Buffer): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    refuseDeepJson(text)
    const document: unknown = secureJson.parse(text)
    return document
  } catch (cause) {
    // Both speak of the body alone: where it stops being JSON, or which member it may not have.
    const detail = cause instanceof SyntaxError ? `${cause.message}.` : 'The body is not UTF-8.'
    throw new SluiceError('json_invalid', detail, { cause })
  }
}
