/** What nobody's data reaches. Beyond some thousands `JSON.parse` with a reviver, and PostgreSQL, run out of stack. */
export const JSON_DEPTH_MAX = 64

const [QUOTE, BACKSLASH, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d]

/**
 * Throws a `SyntaxError`, as the parser does, for what is nested deeper than `JSON_DEPTH_MAX`. It looks no closer than that: what is no
 * JSON is the parser's to refuse.
 */
export function refuseDeepJson(text: string): void {
  let depth = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = endOfString(text, at)
    else if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) depth -= 1
    else if ((code === OPEN_ARRAY || code === OPEN_OBJECT) && ++depth > JSON_DEPTH_MAX) {
      throw new SyntaxError(`The document is nested deeper than ${JSON_DEPTH_MAX} levels`)
    }
  }
}

/** The place of its closing quote, or the end of the text. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at += 1) {
    at = text.indexOf('"', at)
    if (at === -1) return text.length
    let backslashes = 0
    while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes += 1
    if (backslashes % 2 === 0) return at
  }
}
