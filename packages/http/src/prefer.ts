/** RFC 7240: how long the client would wait for the finished result; 0 when it would not. */
export function preferredWaitMs(header: string | string[] | undefined, waitMsMax: number): number {
  const preferences = [header ?? []].flat().join(',').split(/[,;]/)
  for (const preference of preferences) {
    const seconds = /^\s*wait\s*=\s*"?(\d{1,6})"?\s*$/i.exec(preference)?.[1]
    if (seconds !== undefined) return Math.min(Number(seconds) * 1000, waitMsMax)
  }
  return 0
}

/** RFC 7240 §4.1: the client would rather have a 202 than wait. */
export function prefersAsync(header: string | string[] | undefined): boolean {
  return [header ?? []].flat().some((line) => /(^|,)\s*respond-async\s*(,|;|$)/i.test(line))
}
