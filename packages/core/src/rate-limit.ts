import { recentMap } from './recent-map.ts'

export interface RateLimit {
  /** 0 when one more is let through; otherwise the milliseconds after which it will be. */
  take(key: string): number
}

/** Sums of parts come out a little below 1: who waited as long as it was told is let through. */
const WHOLE = 1 - 1e-9

/** A burst has a store of tokens, which fills up again at the given rate. Each of the keys has its own. */
export function openRateLimit(options: {
  readonly perSecond: number
  readonly burst: number
  /** The least recently seen beyond these is forgotten, and begins anew with its whole burst. */
  readonly keysMax: number
  /** Of a clock that never goes back. */
  readonly nowMs: () => number
}): RateLimit {
  const { perSecond, burst, keysMax, nowMs } = options
  const buckets = recentMap<string, { readonly left: number; readonly atMs: number }>(keysMax)
  return {
    take(key) {
      const atMs = nowMs()
      const bucket = buckets.get(key) ?? { left: burst, atMs }
      const left = Math.min(burst, bucket.left + ((atMs - bucket.atMs) / 1_000) * perSecond)
      const isLetThrough = left >= WHOLE
      buckets.set(key, { left: isLetThrough ? left - 1 : left, atMs })
      return isLetThrough ? 0 : ((1 - left) / perSecond) * 1_000
    },
  }
}
