/** Text that is HTML already. Only `html` makes it, so nothing reaches a page unescaped. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  toString(): string {
    return this.text
  }
}

/** What may stand in a template: HTML as it is, text escaped, lists joined, and nothing for what is not there. */
export type Content = Html | string | number | null | undefined | false | readonly Content[]

/** A template whose values are escaped, for element content and for attributes in double quotes. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(strings.reduce((text, string, i) => text + render(values[i - 1]) + string))
}

function render(content: Content): string {
  if (content === null || content === undefined || content === false) return ''
  if (content instanceof Html) return content.text
  if (isList(content)) return content.map(render).join('')
  return escape(String(content))
}

function isList(content: Content): content is readonly Content[] {
  return Array.isArray(content)
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}
