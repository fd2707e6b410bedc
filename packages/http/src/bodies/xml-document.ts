import sax from 'sax'
import { humanBytes, SluiceError } from '@sluice/core'

/** Nobody nests an upload's metadata deeper. */
const DEPTH_MAX = 64

/** What one element costs us beside its name and text, roughly: a document of empty elements is no cheaper than one of text. */
const ELEMENT_BYTES = 32

/** XML 1.0 §2.2: what is not a character of a document, in whatever way it is written. */
const NO_CHARACTER = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u

/** The only entities that exist without a DTD. The parser's own table has a prototype, and with it an entity `&toString;`. */
const ENTITIES = Object.assign(Object.create(null) as Record<string, string>, {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
})

export interface XmlShape {
  /** The element that carries the file, from below the root, whose name does not matter. */
  readonly path: readonly string[]
  /** The name of the elements of which a list consists. */
  readonly item: string
}

interface Element {
  readonly name: string
  readonly children: Map<string, unknown[]>
  text: string
}

/**
 * An XML document without the text of one element, which is handed out in pieces as it arrives. The parser is strict, and the
 * document plain: a DOCTYPE is refused, and so is every entity that it could have declared. Attributes mean nothing.
 */
export class XmlDocument {
  /** Whether the element that carries the file has begun, and whether it is over. */
  content: 'ahead' | 'here' | 'over' = 'ahead'
  readonly #shape: XmlShape
  readonly #bytesMax: number
  readonly #decoder = new TextDecoder('utf-8', { fatal: true })
  /** It counts positions, because only then it bounds what it holds itself: 64 KiB of any name, value, comment or text. */
  readonly #parser = sax.parser(true)
  readonly #open: Element[] = []
  #root: Element | null = null
  #contentText = ''
  #bytes = 0
  #endsWithReturn = false

  constructor(shape: XmlShape, bytesMax: number) {
    this.#shape = shape
    this.#bytesMax = bytesMax
    const parser = this.#parser
    parser.ENTITIES = ENTITIES
    parser.onopentagstart = ({ name }) => this.#begin(name)
    parser.onattribute = ({ name, value }) => this.#count(ELEMENT_BYTES + name.length + value.length)
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- it is no event target
    parser.ontext = parser.oncdata = (text) => this.#take(text)
    parser.onclosetag = () => this.#end()
    parser.onprocessinginstruction = refuseEncoding
    parser.ondoctype = () => {
      throw invalid('The body has a DOCTYPE, which is not accepted.')
    }
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- nor here
    parser.onerror = (cause) => {
      throw invalid('The body is not well-formed XML.', cause)
    }
  }

  write(chunk: Uint8Array): void {
    this.#parse(() => this.#parser.write(this.#normalised(this.#decoder.decode(chunk, { stream: true }))))
  }

  /** Takes out what is here of the file's text. */
  takeContent(): string {
    const text = this.#contentText
    this.#contentText = ''
    return text
  }

  /** The members of the root. An element of elements is an object, or a list where they are all items; any other is its text. */
  end(): Record<string, unknown> {
    this.#parse(() => {
      this.#decoder.decode()
      this.#parser.close()
    })
    if (!this.#root || this.#open.length > 0) throw invalid('The body has no XML element.')
    return this.#members(this.#root)
  }

  #begin(name: string): void {
    this.#count(ELEMENT_BYTES + name.length)
    if (this.content === 'here') throw this.#contentInvalid('must be a text')
    if (this.#root !== null && this.#open.length === 0) throw invalid('The body has more than one root element.')
    if (this.#open.length === DEPTH_MAX) throw invalid(`The body is nested deeper than ${DEPTH_MAX} levels.`)
    const element: Element = { name, children: new Map(), text: '' }
    this.#root ??= element
    this.#open.push(element)
    if (!this.#isAtContent()) return
    if (this.content === 'over') throw this.#contentInvalid('is there twice')
    this.content = 'here'
  }

  #take(text: string): void {
    if (this.content === 'here') {
      this.#contentText += text
      return
    }
    const element = this.#open.at(-1)
    if (!element) return
    this.#count(text.length)
    element.text += text
  }

  #end(): void {
    const element = this.#open.pop()
    if (this.content === 'here') {
      this.content = 'over'
      return
    }
    const parent = this.#open.at(-1)
    if (!element || !parent) return
    const known = parent.children.get(element.name)
    if (known) known.push(this.#valueOf(element))
    else parent.children.set(element.name, [this.#valueOf(element)])
  }

  #valueOf(element: Element): unknown {
    const { children, text } = element
    if (children.size === 0) return text
    return (children.size === 1 && children.get(this.#shape.item)) || this.#members(element)
  }

  /** A name that is repeated has a list; so has the item, where other names stand beside it. */
  #members({ children }: Element): Record<string, unknown> {
    const { item } = this.#shape
    return Object.fromEntries(
      [...children].map(([name, values]) => [name, values.length > 1 || name === item ? values : values[0]]),
    )
  }

  #isAtContent(): boolean {
    const { path } = this.#shape
    return this.#open.length === path.length + 1 && path.every((name, index) => this.#open[index + 1]?.name === name)
  }

  #contentInvalid(complaint: string): SluiceError {
    const field = this.#shape.path.join('.')
    return new SluiceError('request_invalid', `${field} ${complaint}.`, { details: { field } })
  }

  /** What is kept. Comments and the like are dropped piece by piece, and the length of the body bounds them. */
  #count(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes <= this.#bytesMax) return
    throw new SluiceError('request_too_large', `The body may have ${humanBytes(this.#bytesMax)} apart from its file.`, {
      details: { bytesMax: this.#bytesMax },
    })
  }

  /** XML 1.0 §2.11: every end of a line is one line feed, unless it was written as a reference. The parser leaves that out, and §2.2. */
  #normalised(text: string): string {
    if (NO_CHARACTER.test(text)) throw invalid('The body has a character that XML does not allow.')
    const rest = this.#endsWithReturn && text.startsWith('\n') ? text.slice(1) : text
    if (text !== '') this.#endsWithReturn = text.endsWith('\r')
    return rest.includes('\r') ? rest.replace(/\r\n?/g, '\n') : rest
  }

  /** The parser also trips over itself: an attribute named `hasOwnProperty` is a TypeError in it. */
  #parse(step: () => void): void {
    try {
      step()
    } catch (error) {
      throw SluiceError.is(error) ? error : invalid('The body is not well-formed XML in UTF-8.', error)
    }
  }
}

function refuseEncoding({ name, body }: { name: string; body: string }): void {
  const encoding = name === 'xml' ? /\bencoding\s*=\s*["']([^"']*)["']/.exec(body)?.[1] : undefined
  if (encoding !== undefined && !/^(utf-?8|us-ascii)$/i.test(encoding)) throw invalid('UTF-8 is the only supported encoding.')
}

function invalid(detail: string, cause?: unknown): SluiceError {
  return new SluiceError('xml_invalid', detail, { cause })
}
