import { SluiceError } from '@sluice/core'
import type { Chunks } from './chunks.ts'

const QUOTE = 0x22
const SLASH = 0x2f
const BACKSLASH = 0x5c

/** The bytes of one JSON string from behind its opening quote, without escapes, as far as base64 can need them. */
export class JsonText {
  /** True once the closing quote was taken. */
  hasEnded = false
  /** An escape that is not complete yet, with its backslash. */
  #escape = ''

  /** Takes what is here of the string. */
  read(source: Chunks): Buffer {
    const here = source.rest
    const quoteAt = here.indexOf(QUOTE)
    const run = quoteAt === -1 ? here : here.subarray(0, quoteAt)
    refuseControls(run)
    if (this.#escape !== '' || run.includes(BACKSLASH)) return this.#unescape(source, here)
    source.skip(run.length)
    if (quoteAt !== -1) this.#end(source)
    return run
  }

  /** PHP writes `\/`, .NET `\u002B`: one escape in 64 characters, so that what lies between is copied in runs. */
  #unescape(source: Chunks, here: Buffer): Buffer {
    const text = Buffer.allocUnsafe(here.length)
    let length = 0
    let at = 0
    let quoteAt = -1
    while (at < here.length) {
      if (this.#escape !== '') {
        const byte = this.#continueEscape(here[at++] ?? 0)
        if (byte !== null) text[length++] = byte
        continue
      }
      if (quoteAt < at) quoteAt = indexOrEnd(here, QUOTE, at)
      const backslashAt = indexOrEnd(here, BACKSLASH, at)
      const stopAt = Math.min(quoteAt, backslashAt)
      length += here.copy(text, length, at, stopAt)
      at = stopAt
      if (stopAt === here.length) break
      if (stopAt === quoteAt) {
        source.skip(at)
        this.#end(source)
        return text.subarray(0, length)
      }
      at += 1
      if (here[at] === SLASH) {
        text[length++] = SLASH
        at += 1
      } else {
        this.#escape = '\\'
      }
    }
    source.skip(at)
    return text.subarray(0, length)
  }

  /** The byte that the escape stands for; null while it is not complete. */
  #continueEscape(byte: number): number | null {
    this.#escape += String.fromCharCode(byte)
    if (this.#escape.startsWith('\\u') && this.#escape.length < 6) return null
    const character = characterOf(this.#escape)
    this.#escape = ''
    // No character beyond ASCII is base64: any byte that is not will do to have it refused.
    return Math.min(character.charCodeAt(0), 0xff)
  }

  #end(source: Chunks): void {
    source.skip(1)
    this.hasEnded = true
  }
}

function characterOf(escape: string): string {
  try {
    return String(JSON.parse(`"${escape}"`))
  } catch (cause) {
    throw new SluiceError('json_invalid', 'The content of the file has an escape that JSON does not know.', { cause })
  }
}

/**
 * RFC 8259 §7: control characters must be escaped. Only those are looked for that a lenient base64 decoder would skip;
 * the decoder refuses the others.
 */
function refuseControls(run: Buffer): void {
  if (run.includes(0x0a) || run.includes(0x0d) || run.includes(0x09) || run.includes(0x0c)) {
    throw new SluiceError('json_invalid', 'The content of the file has a control character that is not escaped.')
  }
}

function indexOrEnd(bytes: Buffer, byte: number, from: number): number {
  const index = bytes.indexOf(byte, from)
  return index === -1 ? bytes.length : index
}
