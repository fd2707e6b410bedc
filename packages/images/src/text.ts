/** Text out of a file, as it may be kept and shown: bounded, well formed, without control characters (jsonb refuses NUL). */
export function cleanText(text: string, lengthMax: number): string {
  return text
    .slice(0, lengthMax)
    .toWellFormed()
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
}
