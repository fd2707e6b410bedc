/** How the values of options are read; commander says what is wrong with one, and which it was. */
import { InvalidArgumentError } from 'commander'

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 }

export function readSeconds(text: string): number {
  const seconds = secondsOf(text)
  if (seconds !== null) return seconds
  throw new InvalidArgumentError('a duration looks like 90s, 15m, 24h or 7d.')
}

/** A time, or how long it is ago; as the API wants it. */
export function readTime(text: string): string {
  const seconds = secondsOf(text)
  const ms = seconds === null ? Date.parse(text) : Date.now() - seconds * 1_000
  if (Number.isFinite(ms)) return new Date(ms).toISOString()
  throw new InvalidArgumentError('a time like 2026-11-21T08:00:00Z, or how long it is ago, as 90s, 15m, 24h or 7d.')
}

export function readCount(max: number): (text: string) => number {
  return readNumber(1, max)
}

export function readNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = text.trim() === '' ? Number.NaN : Number(text)
    if (Number.isInteger(number) && number >= min && number <= max) return number
    throw new InvalidArgumentError(`a whole number from ${min} to ${max}.`)
  }
}

/** For an option that may be given several times. */
export function addTo(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

function secondsOf(text: string): number | null {
  const found = /^(\d{1,9})([smhd])$/.exec(text)
  return found ? Number(found[1]) * (SECONDS[found[2] ?? ''] ?? 1) : null
}
